"""Images: found or fetched, and read as the contract says (README, Images).

An image says by itself whom it runs as (``USER``); the user's number and home stand in its
``/etc/passwd``. What it does not say, its labels ``dev.swarmd.contract.*`` or the provider's
options do.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from swarmd.errors import ProviderError, ValidationError
from swarmd.ports import Call
from swarmd.providers.docker.container import CONFIG_DIR, Image
from swarmd.providers.docker.context import SHORT, Context, within
from swarmd.providers.docker.engine import Login, NotThere
from swarmd.providers.docker.files import files_in
from swarmd.providers.docker.marks import JOB, NODE, PROVIDER
from swarmd.providers.docker.pulling import registry_of

_CONTRACT = "dev.swarmd.contract."
_READ_SECONDS = 30.0
_PASSWD_FIELDS = 6  # up to the home
_SET = "Set {} in the provider's options, or use"


class Images:
    """Reads each image once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._passwd: dict[str, str] = {}

    def get(self, ref: str, call: Call, *, fresh: bool = False) -> Image:
        """An image, fetched if need be.

        Args:
            ref: As it was named.
            call: Deadline, cancellation, progress of the pull.
            fresh: Whether it is about to be used for the first time by an instance.

        Raises:
            ProviderError: It is not there and cannot be fetched, or breaks the contract.
        """
        found = self._found(ref, call, fresh=fresh)
        config = found.get("Config") or {}
        labels = config.get("Labels") or {}
        if JOB in labels:
            raise _breaks(ref, f"it has the label {JOB}, which is swarmd's own")
        options = self._context.options
        told = options.user or labels.get(f"{_CONTRACT}user") or config.get("User") or "0"
        user, uid, gid, home = _account(self._passwd_of(found["Id"], call), told, ref)
        if uid == 0 and not options.allow_root:
            raise _breaks(ref, "its user is root", _SET.format("user"))
        home = options.home or labels.get(f"{_CONTRACT}home") or home
        home = _home(home, ref, config.get("Volumes") or ())
        command = _command(labels.get(f"{_CONTRACT}command", ""), ref) or options.command
        return Image(ref=ref, user=user, uid=uid, gid=gid, home=home, command=command)

    def _found(self, ref: str, call: Call, *, fresh: bool) -> dict[str, Any]:
        engine, options = self._context.engine, self._context.options
        if not (fresh and options.pull == "always"):
            try:
                return engine.image(ref, within(call))
            except NotThere as error:
                if options.pull == "never":
                    raise ProviderError(
                        f"the image {ref} is not at the engine {options.engine}, and pull is never",
                        field="config.image",
                        next_step="Load it there (docker load), name another, or set pull = "
                        '"missing" in the provider\'s options.',
                        details={"cause": error.message},
                    ) from error
        engine.pull(ref, self._login(ref), call)
        return engine.image(ref, within(call))

    def _login(self, ref: str) -> Login | None:
        """Our login, if it is for the registry of this image: no other one is shown it."""
        options = self._context.options
        own = registry_of(f"{options.registry}/image" if options.registry else options.image)
        if not options.registry_user or registry_of(ref) != own:
            return None
        file = Path(options.registry_password.removeprefix("file:"))
        try:
            password = file.read_text().strip()
        except OSError as error:
            raise ProviderError(
                f"the registry's password cannot be read from {file}",
                field="registry_password",
                next_step="Let the daemon's user read the file, or correct its path.",
                details={"cause": str(error)},
            ) from error
        return Login(options.registry_user, password)

    def _passwd_of(self, image_id: str, call: Call) -> str:
        """The image's /etc/passwd, read from a container that is never started."""
        with self._lock:
            known = self._passwd.get(image_id)
        if known is None:
            known = self._read_passwd(image_id, call)
            with self._lock:
                self._passwd[image_id] = known
        return known

    def _read_passwd(self, image_id: str, call: Call) -> str:
        context, engine = self._context, self._context.engine
        # The command is never run; an image without one would be refused else.
        body: dict[str, object] = {
            "Image": image_id,
            "Cmd": ["true"],
            "Labels": {JOB: "image", PROVIDER: context.name, NODE: context.node.id},
        }
        made = engine.create("", body, within(call, _READ_SECONDS))
        try:
            chunks = engine.get_archive(made, "/etc/passwd", within(call))
            with contextlib.closing(chunks):
                found = dict(files_in(chunks)).get("passwd", b"")
        except NotThere:
            found = b""
        finally:
            engine.remove(made, SHORT)
        return found.decode(errors="replace")


def _account(passwd: str, told: str, ref: str) -> tuple[str, int, int, str]:
    """A user as the image knows it: its name and group in words, uid, gid and home.

    Lines are taken as the engine takes them: a number is a uid, whatever is called so.

    Raises:
        ValidationError: The image has no such user.
    """
    name, _, group = told.partition(":")
    for line in passwd.splitlines():
        fields = line.strip().split(":")
        if len(fields) < _PASSWD_FIELDS or fields[2 if name.isdecimal() else 0] != name:
            continue
        if not (fields[2].isdecimal() and fields[3].isdecimal()):
            raise _breaks(ref, f"its /etc/passwd gives {name!r} no number")
        gid = int(group) if group.isdecimal() else int(fields[3])
        words = f"{fields[0]}:{group}" if group else fields[0]
        return words, int(fields[2]), gid, fields[5]
    if name.isdecimal():
        return told, int(name), int(group) if group.isdecimal() else int(name), ""
    raise _breaks(ref, f"it has no user {name!r}", _SET.format("user"))


def _home(told: str, ref: str, volumes: Iterable[str]) -> str:
    """Where the volume is to lie: no place that would have the password or lose files."""
    home = PurePosixPath(told)
    if (
        not home.is_absolute()
        or ".." in home.parts
        or PurePosixPath(CONFIG_DIR).is_relative_to(home)
    ):
        raise _breaks(ref, "its user has no home of its own", _SET.format("home"))
    for volume in volumes:
        if home in PurePosixPath(volume).parents:
            # It would be one of the container's own, and go with it, files and all.
            raise _breaks(ref, f"it declares the volume {volume} within the home {home}")
    return str(home)


def _command(told: str, ref: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(told))
    except ValueError as error:
        raise _breaks(
            ref, f"its command cannot be read ({error})", _SET.format("command")
        ) from None


def _breaks(ref: str, why: str, first: str = "Use") -> ValidationError:
    return ValidationError(
        f"the image {ref} cannot be used: {why}",
        field="config.image",
        next_step=f"{first} an image made for code-server (README, Images).",
    )
