"""A command in a running container: its output, its input, its end with all that it started."""

from __future__ import annotations

import contextlib
import posixpath
import re
import threading
from collections.abc import Mapping
from pathlib import PurePosixPath

from swarmd.errors import DeadlineExceeded, ProviderError, SwarmError
from swarmd.messages.requests import ExecInstance
from swarmd.ports import Session
from swarmd.providers.docker.channel import STDERR, STDOUT, Channel
from swarmd.providers.docker.ending import MARKER, Command, new_mark
from swarmd.providers.docker.engine import Engine, NotRunning, NotThere
from swarmd.providers.shared.commands import check, input_closed, no_folder

_REFUSED = (b"OCI runtime exec failed", b"unable to find user", b"unable to find group")
"""What the engine's words begin with, on the command's own output, if it could not be started."""
_PREFIX = re.compile(
    r"^(OCI runtime (exec failed|error): |exec failed: |unable to start [a-z ]+: )+"
)
_NO_FOLDER = ("chdir to cwd", "cannot chdir")
_NOT_FOUND = ("no such file or directory", "not found")
_NOT_RUN = ("permission denied", "exec format error", "is a directory")
_WORDS_MOST = 4096
_LOOK_SECONDS = 1.0


class ExecSession:
    """A running command (``swarmd.ports.Session``).

    Args:
        channel: Its output and input.
        command: What ends it and knows its exit code.
        options: What was asked for.
    """

    def __init__(self, channel: Channel, command: Command, options: ExecInstance) -> None:
        self._channel = channel
        self._command = command
        self._name = options.command[0]
        self._takes_input = options.stdin
        self._timeout = None if options.timeout is None else float(options.timeout)
        self._reading, self._closing = threading.Lock(), threading.Lock()
        self._closed, self._ended = threading.Event(), threading.Event()
        self._expired = self._begun = False
        self._unended: SwarmError | None = None
        self._code: int | None = None
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Let its time run."""
        if self._timeout is not None:
            self._timer = threading.Timer(self._timeout, self._expire)
            self._timer.daemon = True
            self._timer.start()

    def read(self) -> tuple[str, bytes] | None:
        """The next piece of output; None at the end.

        Raises:
            DeadlineExceeded: The command's time ran out; nothing of it runs, or it is said.
            ValidationError: There is no such ``workdir``.
            ProviderError: The engine could not start it, or the connection broke.
        """
        with self._reading:
            piece = self._look()
            if piece is not None:
                return piece
            if self._code is None and not self._expired:
                self._finish()
        if self._expired:
            self._ended.wait()
            raise self._late()
        return None

    def write(self, data: bytes) -> None:
        """Give bytes to its input; waits while the command does not read them.

        Raises:
            ProviderError: It reads no more.
        """
        if not self._takes_input:
            raise input_closed()
        try:
            self._channel.write(data)
        except BrokenPipeError as error:
            if not self._closed.is_set():
                raise input_closed() from error

    def close_input(self) -> None:
        """End its input."""
        if self._takes_input:
            self._channel.end_input()

    def result(self) -> int | None:
        """The exit code; 128 and the signal's number if a signal ended it."""
        return self._code

    def close(self) -> None:
        """End it with everything it started; what it left behind on purpose may stay."""
        with self._closing:
            if self._closed.is_set():
                return
            self._closed.set()
            if self._timer is not None:
                self._timer.cancel()
            if not self._begun and self._code is None:
                # An engine whose client leaves while it starts a command may lose track of it.
                with contextlib.suppress(SwarmError):
                    self._command.settle()
            self._channel.close()
            if self._expired:
                self._ended.wait()
            elif self._code is None:
                with contextlib.suppress(SwarmError):  # what cannot be ended, ``stop`` will tell
                    self._code = self._command.end()

    # --- inside ------------------------------------------------------------------------------

    def _look(self) -> tuple[str, bytes] | None:
        if self._code is not None or self._closed.is_set():
            return None
        try:
            piece = self._channel.read()
        except SwarmError:
            if self._expired or self._closed.is_set() or self._has_left_input():
                return None
            raise
        if piece is not None and not self._begun:
            self._begun = True
            if piece[0] == STDOUT and piece[1].startswith(_REFUSED) and self._command.was_refused():
                return self._refused(piece[1])
        return piece

    def _has_left_input(self) -> bool:
        """Whether the command has ended and left input unread.

        The engine then resets the connection; what it had put out was read before that.
        """
        if not self._takes_input:
            return False
        with contextlib.suppress(SwarmError):  # the engine itself is gone: that is told
            return self._command.await_code(self._closed, _LOOK_SECONDS) is not None
        return False

    def _refused(self, words: bytes) -> tuple[str, bytes]:
        """The engine spoke in the command's place: its words as a shell would have said them."""
        while (more := self._channel.read()) is not None:
            words = (words + more[1])[:_WORDS_MOST]
        self._cancel_timer()
        code, said = refusal(words.decode(errors="replace").strip(), self._name)
        self._code = code
        return STDERR, said.encode() + b"\n"

    def _finish(self) -> None:
        """The output has ended: wait until the command has, or is ended."""
        while not (self._closed.is_set() or self._ended.is_set()):
            self._code = self._command.await_code(self._closed, _LOOK_SECONDS)
            if self._code is not None:
                break
        self._cancel_timer()

    def _expire(self) -> None:
        if self._code is not None:
            return
        self._expired = True
        try:
            self._command.end()
        except SwarmError as error:
            self._unended = error
            self._channel.close()
        finally:
            self._ended.set()

    def _late(self) -> DeadlineExceeded:
        words = f"the command ran longer than {self._timeout:g} s"
        if self._unended is not None:
            return DeadlineExceeded(
                f"{words} and could not be ended: {self._unended.message}",
                field="timeout",
                next_step=self._unended.next_step,
                details=self._unended.details,
            )
        return DeadlineExceeded(
            f"{words} and was ended",
            field="timeout",
            next_step="Give it more time, or run it in a terminal of the instance.",
        )

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def open_exec(
    engine: Engine,
    container: str,
    options: ExecInstance,
    *,
    folder: str,
    env: Mapping[str, str],
    user: str,
    within: float,
) -> Session:
    """Start a command in a running container.

    Args:
        engine: Where it is.
        container: Its name or id.
        options: What is asked for.
        folder: The workspace, inside.
        env: Its variables, besides the container's own.
        user: Whom it runs as, in the image's words.
        within: Seconds that each call of the engine may take.

    Raises:
        ValidationError: With ``field``.
        NotRunning: The container does not run.
    """
    check(options)
    mark = new_mark()
    body = _body(options, folder_of(folder, options.workdir), {**env, MARKER: mark}, user)
    exec_id = engine.exec_create(container, body, within)
    command = Command(engine, container, user, exec_id, mark, within)
    try:
        channel = engine.exec_start(exec_id, within)
    except (NotRunning, NotThere):
        raise
    except ProviderError as error:
        if "status" in error.details:  # Podman says here what Docker says on the channel
            refusal(str(error.details["cause"]), options.command[0])
        else:
            with contextlib.suppress(SwarmError):  # without an answer it may nevertheless run
                command.end()
        raise
    session = ExecSession(channel, command, options)
    session.begin()
    return session


def _body(
    options: ExecInstance, folder: str, env: Mapping[str, str], user: str
) -> dict[str, object]:
    """What the engine is told of a command (Docker Engine API, "Create an exec instance")."""
    return {
        "AttachStdin": options.stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "Cmd": list(options.command),
        "Env": [f"{name}={value}" for name, value in env.items()],
        "User": user,
        "WorkingDir": folder,
    }


def folder_of(base: str, wanted: str | None) -> str:
    """Where a command works: the workspace, or a folder below it.

    Whether it is there only the engine can tell.

    Args:
        base: The workspace, inside.
        wanted: Relative to it, or absolute and below it.

    Raises:
        ValidationError: It is not below it.
    """
    if not wanted:
        return base
    folder = posixpath.normpath(posixpath.join(base, wanted))
    if not PurePosixPath(folder).is_relative_to(base) or "\0" in folder:
        raise no_folder(f"{wanted!r} is not below the workspace")
    return folder


def refusal(words: str, name: str) -> tuple[int, str]:
    """What the engine's words for a command that could not be started come to.

    Args:
        words: The engine's.
        name: The program.

    Returns:
        The exit code and the message that a shell has for it.

    Raises:
        ValidationError: The folder to work in is not there.
        ProviderError: It is something else.
    """
    said = _PREFIX.sub("", words).removesuffix(": unknown")
    low = said.lower()
    if any(sign in low for sign in _NO_FOLDER):
        raise no_folder(f"there is no such folder in the workspace: {said}")
    for code, signs in ((127, _NOT_FOUND), (126, _NOT_RUN)):
        if "exec: " in low and any(sign in low for sign in signs):
            return code, f"{name}: {said}"
    raise ProviderError(
        f"the engine could not start the command: {said}",
        next_step="Look at the cause; the image must have the user and the program.",
        details={"cause": words},
    )
