"""A clone that is whole or not there."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from swarmd.errors import ProviderError
from swarmd.ports import Call
from swarmd.providers.local.data import children, folders
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.faults import os_faults
from swarmd.providers.shared.giturl import FIELD, Remote, shown

_PERCENT = re.compile(r"^(?P<what>[A-Za-z ]+):\s+(?P<percent>\d+)%")


def clone(
    remote: Remote,
    parent: Path,
    *,
    home: Path,
    account: Account,
    mark: str,
    call: Call,
    env: Mapping[str, str],
) -> Path:
    """Clone into a new folder below ``parent`` and return it. The caller moves it on.

    Args:
        remote: From where.
        parent: A folder of the account, on the filesystem where the clone is to be.
        home: HOME for git: its configuration and credential helpers.
        account: Who runs git.
        mark: As for ``children.run``.
        call: Deadline, cancellation, progress.
        env: Added to git's environment: proxies, the agent's socket.

    Raises:
        ProviderError: Git failed; its last lines are in ``details["cause"]``.
    """
    target = parent / "tree"
    with _login(remote, parent, account) as secret:
        ended = children.run(
            _argv(remote, target, secret),
            account=account,
            env={**env, **_environment(remote, home, account)},
            cwd=parent,
            mark=mark,
            call=call,
            on_line=_progress(call),
        )
    if ended.code != 0:
        raise _failed(remote, ended)
    return target


def _argv(remote: Remote, target: Path, secret: Path | None) -> Sequence[str]:
    helper = (
        [
            "-c",
            "credential.helper=",
            "-c",
            f"credential.helper=store --file={shlex.quote(str(secret))}",
        ]
        if secret is not None
        else []
    )
    return ["git", *helper, "clone", "--progress", "--", remote.url, str(target)]


def _environment(remote: Remote, home: Path, account: Account) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "USER": account.name,
        "LOGNAME": account.name,
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "SSH_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new",
        "GIT_ALLOW_PROTOCOL": remote.protocol,
    }


@contextlib.contextmanager
def _login(remote: Remote, parent: Path, account: Account) -> Iterator[Path | None]:
    """The file with the remote's password, for as long as git runs; None if it has none."""
    if not remote.login:
        yield None
        return
    path = _write_login(remote, parent, account)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write_login(remote: Remote, parent: Path, account: Account) -> Path:
    """Put the password where git's own helper reads it: no argument, no environment has it."""
    path = parent / f"login.{secrets.token_hex(6)}"
    with os_faults("preparing the clone"):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with folders.opened(parent) as folder:
            descriptor = os.open(path.name, flags, 0o600, dir_fd=folder)
        try:
            os.write(descriptor, f"{remote.login}\n".encode())
            if account.foreign:
                os.fchown(descriptor, account.uid, account.gid)
        finally:
            os.close(descriptor)
    return path


def _progress(call: Call) -> Callable[[str], None]:
    def told(line: str) -> None:
        match = _PERCENT.match(line.removeprefix("remote: "))
        if match is not None:
            call.progress(f"git: {match['what'].lower()}", int(match["percent"]) / 100)

    return told


def _failed(remote: Remote, ended: children.Ended) -> ProviderError:
    lines = [line for line in ended.lines if _PERCENT.match(line) is None]
    cause = shown("\n".join(lines)) or ended.cause
    return ProviderError(
        f"{shown(remote.url)} could not be cloned",
        field=FIELD,
        next_step="Check the URL and the access of the account "
        "(a public repository, a key, or a credential helper), then create it again.",
        details={"cause": cause, "exit_code": ended.code},
    )
