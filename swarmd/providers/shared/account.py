"""Under which account an instance runs (DESIGN 7).

A daemon without privileges has one choice: its own account. Root chooses: a system user for
all, the owner's own account, or, only if told so, root.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TypedDict

from swarmd.errors import PermissionDenied, ValidationError

DEFAULT_USER = "swarmd-run"
"""The system user that root runs instances as unless ``run_as`` says otherwise."""

OWNER = "owner"
"""``run_as = "owner"``: each instance runs as the account that bears its owner's name."""


class PopenIdentity(TypedDict, total=False):
    """The arguments of ``subprocess.Popen`` that change the account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this host."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str

    @property
    def foreign(self) -> bool:
        """Whether this is another account than the one this process runs as."""
        return self.uid != os.geteuid()

    @property
    def popen(self) -> PopenIdentity:
        """What makes ``subprocess.Popen`` run a program as this account."""
        if not self.foreign:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}


def own() -> Account:
    """The account that this process runs as, even where the host has no name for it."""
    uid = os.geteuid()
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        home = os.environ.get("HOME", "/")
        groups = tuple(os.getgroups())
        return Account(str(uid), uid, os.getegid(), groups, home, "/bin/sh")


def resolve(run_as: str, owner: str, *, allow_root: bool = False) -> Account:
    """The account that an instance of ``owner`` runs as.

    Args:
        run_as: The provider's option: a user name, ``"owner"``, or empty for the default.
        owner: The instance's owner.
        allow_root: Whether root is an answer.

    Raises:
        ValidationError: There is no such account, or this daemon cannot change to it.
        PermissionDenied: It would be root.
    """
    if os.geteuid() != 0:
        return _unprivileged(run_as, owner)
    name = owner if run_as == OWNER else run_as or DEFAULT_USER
    account = _named(name, field="owner" if run_as == OWNER else "run_as")
    if account.uid == 0 and not allow_root:
        raise PermissionDenied(
            f"an instance of {owner} would run as root",
            field="run_as",
            next_step="Set run_as to another user, or allow_root = true in the provider's options.",
        )
    return account


def _unprivileged(run_as: str, owner: str) -> Account:
    account = own()
    wanted = owner if run_as == OWNER else run_as
    if wanted and wanted != account.name:
        raise ValidationError(
            f"this daemon runs as {account.name} and cannot run an instance as {wanted}",
            field="run_as",
            next_step="Leave run_as empty, or run the daemon as root.",
        )
    return account


def _named(name: str, *, field: str) -> Account:
    try:
        return _account(pwd.getpwnam(name))
    except KeyError:
        raise ValidationError(
            f"this host has no user {name!r} to run instances as",
            field=field,
            next_step=f"Create it (useradd --system --create-home {name}), or set run_as.",
        ) from None


def _account(entry: pwd.struct_passwd) -> Account:
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(
        entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir, entry.pw_shell or "/bin/sh"
    )
