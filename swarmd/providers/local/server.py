"""code-server: where it is, how it is called, what it is told (FACTS of code-server 4.139)."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarmd.errors import ProviderError, SwarmError
from swarmd.messages.instance import Auth, Instance
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.local.options import LocalOptions
from swarmd.providers.local.tree import EPOCH_MARKER, MARKER, NODE_MARKER
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.codeserver import RESERVED, identity_arguments, render_config
from swarmd.providers.shared.faults import os_faults

NAME = "code-server"

_INHERITED = re.compile(r"PATH|LANG|LC_[A-Z_]+|TERM|TZ")
_CONFIG_MOST = 64 << 10
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Server:
    """A code-server: the start of its argument vector, and where it was found."""

    command: tuple[str, ...]
    source: str
    version: str | None = None


def find_server(options: LocalOptions, server_dir: Path) -> Server:
    """The configured one, else the one on PATH, else the managed one.

    Raises:
        ProviderError: There is none; the next step tells how to get one.
    """
    if options.command:
        found = shutil.which(options.command[0])
        if found is None:
            raise _missing(f"{options.command[0]}, the configured command, is no program")
        return Server((found, *options.command[1:]), "configured")
    found = shutil.which(NAME, path=_path_of_servers())
    if found is not None:
        return Server((found,), "PATH")
    return _managed(server_dir)


def describe(server: Server) -> str:
    """Which one it is, short enough for a table: ``code-server 4.139.1, managed``."""
    name = f"{NAME} {server.version}" if server.version else NAME
    # Of the managed one the version says all; of another one only its path does.
    return f"{name}, {server.source}" + ("" if server.version else f": {server.command[0]}")


def _path_of_servers() -> str:
    """PATH without VS Code's own folder.

    In its terminals a script of this name lies there that opens files and serves nothing.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(each for each in folders if Path(each).name != "remote-cli")


def _managed(server_dir: Path) -> Server:
    from swarmd.setup import find_installed

    try:
        installed = find_installed(server_dir)
    except SwarmError as error:
        raise ProviderError(
            error.message, next_step=error.next_step, details=error.details
        ) from error
    if installed is None:
        raise _missing(f"there is no code-server on PATH and none in {server_dir}")
    return Server(installed.command, "managed", installed.version)


def _missing(message: str) -> ProviderError:
    return ProviderError(
        message,
        field="command",
        next_step="Run swarmctl setup code-server, or set command in the provider's options.",
    )


def arguments(
    server: Server,
    instance: Instance,
    dirs: InstanceDirs,
    listener: int,
    folder: Path,
    options: LocalOptions,
) -> tuple[str, ...]:
    """The argument vector of an instance's server. Nothing secret is in it.

    Args:
        server: Which code-server.
        instance: Whose.
        dirs: Its places; the configuration file with the password among them.
        listener: Number of the inherited listening descriptor.
        folder: What VS Code opens.
        options: For TLS.
    """
    tls = ("--cert", options.tls_cert, "--cert-key", options.tls_key) if options.tls else ()
    return (
        *server.command,
        "--config",
        str(dirs.config_file),
        "--socket-fd",
        str(listener),
        "--user-data-dir",
        str(dirs.user_data),
        "--extensions-dir",
        str(dirs.extensions),
        *identity_arguments(instance),
        *tls,
        str(folder),
    )


def write_config(dirs: InstanceDirs, auth: Auth, account: Account) -> None:
    """Write the server's configuration file: 0600, the account's, the password in it alone.

    The folder is the account's, so the file is made anew beside the old one and renamed, by
    descriptor, and no link is followed.

    Raises:
        SwarmError: The password is missing or the file cannot be written.
    """
    with os_faults(f"writing the configuration of {dirs.id}"):
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        folder = os.open(dirs.root, flags)
        try:
            _replace(folder, dirs.config_file.name, render_config(auth).encode(), account)
        except IsADirectoryError as error:
            raise ProviderError(
                f"the configuration of {dirs.id} cannot be written: there is a folder in its place",
                next_step=f"Move {dirs.config_file} and {_temporary(dirs.config_file.name)} beside "
                "it away, as far as they are folders, then start it again.",
                details={"cause": str(error)},
            ) from error
        finally:
            os.close(folder)


def read_config(dirs: InstanceDirs) -> str | None:
    """What the configuration file says now; None if it cannot be read or is no plain file."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(dirs.config_file, flags)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        return os.read(file, _CONFIG_MOST).decode(errors="replace")
    except OSError:
        return None
    finally:
        os.close(file)


def _temporary(name: str) -> str:
    return f".{name}.new"


def _replace(folder: int, name: str, data: bytes, account: Account) -> None:
    import contextlib

    temporary = _temporary(name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        if account.foreign:
            os.fchown(file, account.uid, account.gid)
        os.fchmod(file, 0o600)
        with open(file, "wb", closefd=False) as stream:
            stream.write(data)
    finally:
        os.close(file)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def environment(
    instance: Instance,
    dirs: InstanceDirs,
    account: Account,
    options: LocalOptions,
    *,
    mark: str,
    inherited: Mapping[str, str] = os.environ,
    added: Sequence[tuple[str, str]] = (),
) -> dict[str, str]:
    """All that an instance's processes get as environment: an allow-list (DESIGN 7).

    Args:
        instance: Whose; its own variables and its marks.
        dirs: Its HOME, if that is managed.
        account: Whom it runs as.
        options: Which further names are let through.
        mark: What the node's mark says.
        inherited: The daemon's own environment.
        added: For one command only.
    """
    chosen = {
        name: value
        for name, value in inherited.items()
        if _INHERITED.fullmatch(name) or name in options.env_allow
    }
    if account.foreign:
        # The daemon's own PATH names folders that another user may not even enter.
        chosen["PATH"] = _DEFAULT_PATH
    chosen.setdefault("PATH", _DEFAULT_PATH)
    chosen |= {
        "HOME": account.home if options.home == "user" else str(dirs.home),
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": account.shell if _usable(account.shell) else "/bin/sh",
    }
    chosen |= dict(instance.config.env) | dict(added)
    allowed = {name: value for name, value in chosen.items() if not RESERVED.fullmatch(name)}
    return allowed | marks(instance, mark)


def marks(instance: Instance, mark: str) -> dict[str, str]:
    """The variables by which an instance's processes are found again."""
    return {
        MARKER: instance.id,
        EPOCH_MARKER: str(instance.epoch),
        NODE_MARKER: mark,
    }


def _usable(shell: str) -> bool:
    return os.access(shell, os.X_OK) and not shell.endswith(("/nologin", "/false"))
