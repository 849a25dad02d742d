"""One thing done for an instance before its server runs: a clone, extensions.

It runs in a container of its own with the instance's image, user and volume, so that it can
do no more than a terminal of the instance could, and is removed at the end. One that a crash
left behind is removed by the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from swarmd.errors import ProviderError
from swarmd.ports import Call
from swarmd.providers.docker.channel import Channel
from swarmd.providers.docker.container import CONFIG_DIR, DATA, EXTENSIONS, PROJECT, Plan
from swarmd.providers.docker.context import SHORT, Context, within
from swarmd.providers.docker.files import File, Owner, tar_of
from swarmd.providers.docker.hostfiles import read_below
from swarmd.providers.docker.looking import Seen
from swarmd.providers.docker.marks import job_name
from swarmd.providers.docker.times import list_times
from swarmd.providers.shared import giturl
from swarmd.providers.shared.wishes import EXTENSIONS_FIELD, is_file

_POLL = 0.1
_POLL_MOST = 1.0
_LOG_MOST = 16 << 10
_START_SECONDS = 60.0

_CLONE = """
set -e
cd "$HOME"
if [ -n "$(ls -A "$3" 2>/dev/null)" ]; then exit 0; fi
rm -rf ".$3.clone"
if [ -f "$2" ]; then git -c credential.helper="store --file=$2" clone -- "$1" ".$3.clone"
else git clone -- "$1" ".$3.clone"; fi
mkdir -p "$3"
rmdir "$3"
mv ".$3.clone" "$3"
"""


class Jobs:
    """Runs them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def clone(self, plan: Plan, call: Call) -> None:
        """Clone the repository that ``config.workspace`` names, unless it is there.

        Raises:
            ValidationError: The URL is refused.
            ProviderError: Git failed.
        """
        remote = giturl.parse(str(plan.config.workspace))
        call.progress(f"cloning {giturl.shown(remote.url)}", None)
        credentials = f"{CONFIG_DIR}/git-credentials"
        files = [(credentials, f"{remote.login}\n".encode())] if remote.login else []
        command = ("sh", "-c", _CLONE, "clone", remote.url, credentials, PROJECT)
        code, words = self._run(plan, command, files, call)
        if code:
            raise ProviderError(
                f"git could not clone {giturl.shown(remote.url)}",
                field=giturl.FIELD,
                next_step="Check the URL, its access rights, and that the image has git.",
                details={"cause": words},
            )

    def install(self, plan: Plan, wanted: Sequence[tuple[int, str]], call: Call) -> None:
        """Install extensions.

        Args:
            plan: Of the instance.
            wanted: Which, with their places in ``config.extensions``.
            call: Deadline, cancellation, progress.

        Raises:
            ProviderError: One does not exist or cannot be fetched; names it.
        """
        home = plan.image.home
        for index, name in wanted:
            call.progress(f"installing the extension {name}", None)
            files, target = [], name
            if is_file(name):
                target = f"{CONFIG_DIR}/extension.vsix"
                field = f"{EXTENSIONS_FIELD}[{index}]"
                files = [(target, read_below(name, self._context.options.roots, field))]
            command = (
                *plan.image.command,
                "--user-data-dir",
                f"{home}/{DATA}",
                "--extensions-dir",
                f"{home}/{EXTENSIONS}",
                "--install-extension",
                target,
            )
            code, words = self._run(plan, command, files, call)
            if code or "Failed Installing" in words:
                raise ProviderError(
                    f"the extension {name} could not be installed",
                    field=f"{EXTENSIONS_FIELD}[{index}]",
                    next_step="Check its name at the marketplace that the image uses, and that "
                    "the engine's containers can reach it; or give a .vsix file.",
                    details={"cause": words},
                )

    def times(self, plan: Plan, seen: Seen, call: Call) -> Iterator[bytes]:
        """When the files of a home were changed, to the nanosecond, as ``list_times`` tells it.

        In the container itself if that runs, else in a job; in an image without GNU find there
        is nothing to tell.
        """
        command = list_times(plan.image.home)
        if seen.state == "running":
            told = self._heard(seen.ref, command, call)
        else:
            told = self._told(plan.job(command), call)
        try:
            yield from told
        except ProviderError as error:
            call.progress(f"times have whole seconds: {error.message}", None)

    def _told(self, body: Mapping[str, object], call: Call) -> Iterator[bytes]:
        engine = self._context.engine
        # Without a name: an export has no turn, and must not be in the way of who installs.
        ref = engine.create("", body, within(call, _START_SECONDS))
        try:
            engine.start(ref, within(call, _START_SECONDS))
            self._wait(ref, call)  # following instead, the engine may leave the end out
            yield from _stdout(
                engine.logs(
                    ref, follow=False, tail=None, since=None, timestamps=False, within=within(call)
                )
            )
        finally:
            engine.remove(ref, SHORT * 3)

    def _heard(self, ref: str, command: tuple[str, ...], call: Call) -> Iterator[bytes]:
        body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
        engine = self._context.engine
        made = engine.exec_create(ref, body, within(call))
        yield from _stdout(engine.exec_start(made, within(call)))

    def _run(
        self, plan: Plan, command: tuple[str, ...], files: Iterable[tuple[str, bytes]], call: Call
    ) -> tuple[int, str]:
        """Run a command to its end: its exit code and the end of what it wrote."""
        engine, name = self._context.engine, job_name(plan.instance.id)
        engine.remove(name, within(call, _START_SECONDS))
        ref = engine.create(name, plan.job(command), within(call, _START_SECONDS))
        self._context.step("job made")
        try:
            owner = Owner(plan.image.uid, plan.image.gid)
            given = [File(path, data, 0o600, owner) for path, data in files]
            if given:
                archive = tar_of([File(CONFIG_DIR, None, 0o755), *given])
                engine.put_archive(ref, "/", [archive], within(call, _START_SECONDS))
            engine.start(ref, within(call, _START_SECONDS))
            self._context.step("job started")
            return self._outcome(ref, call)
        finally:
            engine.remove(ref, SHORT * 3)

    def _outcome(self, ref: str, call: Call) -> tuple[int, str]:
        return self._wait(ref, call), self.last_words(ref, call)

    def _wait(self, ref: str, call: Call) -> int:
        """Until a container has ended: its exit code."""
        pause = _POLL
        while True:
            state = self._context.engine.inspect(ref, within(call)).get("State") or {}
            if state.get("Status") in ("exited", "dead"):
                return int(state.get("ExitCode") or 0)
            call.wait(pause)
            pause = min(pause * 1.5, _POLL_MOST)

    def last_words(self, ref: str, call: Call, lines: int = 40) -> str:
        """The end of what a container wrote."""
        channel = self._context.engine.logs(
            ref, follow=False, tail=lines, since=None, timestamps=False, within=within(call)
        )
        try:
            said = b""
            while (piece := channel.read()) is not None:
                said = (said + piece[1])[-_LOG_MOST:]
        finally:
            channel.close()
        return said.decode(errors="replace").strip()


def _stdout(channel: Channel) -> Iterator[bytes]:
    try:
        while (piece := channel.read()) is not None:
            if piece[0] == "stdout":
                yield piece[1]
    finally:
        channel.close()
