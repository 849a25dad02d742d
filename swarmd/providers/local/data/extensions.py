"""Extensions, installed before the first start with the server's own command."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from swarmd.errors import ProviderError
from swarmd.messages.instance import InstanceConfig
from swarmd.ports import Call
from swarmd.providers.local.data import children
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.faults import os_faults
from swarmd.providers.shared.rights import as_account
from swarmd.providers.shared.wishes import EXTENSIONS_FIELD, check_extensions, is_file, refused


def install(
    config: InstanceConfig,
    dirs: InstanceDirs,
    server_command: Sequence[str],
    env: Mapping[str, str],
    account: Account,
    call: Call,
) -> tuple[str, ...]:
    """Install those extensions that were not installed before; return which they were.

    What a user uninstalls later stays uninstalled, until the configuration names it anew.

    Args:
        config: Names them.
        dirs: The instance's places.
        server_command: argv of code-server.
        env: The environment that the server would get.
        account: Whom the instance runs as.
        call: Deadline, cancellation, progress.

    Raises:
        ValidationError: A file that the account cannot read.
        ProviderError: An extension that does not exist or cannot be fetched; names it.
    """
    check_extensions(config)
    done = _read_stamp(dirs)
    installed = []
    for index, wanted in enumerate(config.extensions):
        call.check()
        mark = _fingerprint(index, wanted, account)
        if done.get(wanted) == mark:
            continue
        call.progress(f"installing extension {wanted}", index / len(config.extensions))
        _install_one(index, wanted, dirs, server_command, env, account, call)
        done[wanted] = mark
        installed.append(wanted)
        _write_stamp(dirs, done)
    kept = {wanted: mark for wanted, mark in done.items() if wanted in config.extensions}
    if kept != done:
        _write_stamp(dirs, kept)
    return tuple(installed)


def _install_one(
    index: int,
    wanted: str,
    dirs: InstanceDirs,
    server_command: Sequence[str],
    env: Mapping[str, str],
    account: Account,
    call: Call,
) -> None:
    argv = [
        *server_command,
        *("--extensions-dir", str(dirs.extensions)),
        *("--user-data-dir", str(dirs.user_data)),
        *("--config", os.devnull),
        *("--install-extension", wanted),
        "--force",
    ]
    ended = children.run(
        argv,
        account=account,
        env=env,
        cwd=dirs.root,
        mark=dirs.id,
        call=call,
    )
    if ended.code != 0:
        raise ProviderError(
            f"the extension {wanted} could not be installed",
            field=f"{EXTENSIONS_FIELD}[{index}]",
            next_step="Check its spelling and that it can be fetched from here, "
            "or give a .vsix file that the instance's account can read.",
            details={"cause": ended.cause, "extension": wanted, "exit_code": ended.code},
        )


def _fingerprint(index: int, wanted: str, account: Account) -> str:
    """What the stamp remembers: a file that was replaced is installed again.

    Asked as the account, so that nobody learns from us which files there are elsewhere.
    """
    if not is_file(wanted):
        return "id"
    try:
        with as_account(account):
            found = Path(wanted).stat()
    except FileNotFoundError:
        raise refused(
            index,
            f"the extension file {wanted} does not exist",
            "Put it there, on the host of the daemon.",
        ) from None
    except OSError as error:
        raise refused(
            index, f"the extension file {wanted} cannot be reached: {error}", "Choose another path."
        ) from error
    return f"{found.st_size}.{found.st_mtime_ns}"


def _stamp(dirs: InstanceDirs) -> Path:
    return dirs.private / "extensions.json"


def _read_stamp(dirs: InstanceDirs) -> dict[str, str]:
    """What was installed. Unreadable: nothing; installing again does no harm."""
    try:
        return msgspec.json.decode(_stamp(dirs).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def _write_stamp(dirs: InstanceDirs, done: Mapping[str, str]) -> None:
    temporary = dirs.private / f"extensions.{secrets.token_hex(6)}"
    with os_faults("noting the installed extensions"):
        try:
            temporary.write_bytes(msgspec.json.encode(done))
            temporary.replace(_stamp(dirs))
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
