"""Looking at and making files with an account's rights, from a daemon that is root.

What lies in a place where the account may write can be swapped by it at any moment. So root
does not judge there: it puts on the account's rights, and the kernel judges. Only the calling
thread changes, and only what the kernel asks for at files (``fsuid``, ``fsgid``, the further
groups); other threads, signals and child processes of others see nothing of it.

glibc's ``setgroups`` changes every thread, therefore the call is made directly.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import pwd
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from swarmd.providers.shared.account import Account

_SETGROUPS = {
    "x86_64": 116,
    "aarch64": 159,
    "riscv64": 159,
    "loongarch64": 159,
    "ppc64le": 81,
    "ppc64": 81,
    "s390x": 206,
}
_SETGROUPS_32 = 206  # i386 and arm, also below a 64-bit kernel
_UNKNOWN_GROUP = 65534


@contextmanager
def as_account(account: Account) -> Iterator[None]:
    """The calling thread touches files with an account's rights. Start no process in here.

    Nothing changes if the account is our own. Do not ``yield`` to other code in here: a
    generator may go on in another thread.

    Args:
        account: Whose rights.

    Raises:
        OSError: The rights cannot be changed (``EPERM``, ``ENOSYS``); nothing was done.
    """
    if not account.foreign:
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    try:
        _set_groups(account.groups)
        _set_group(account.gid)
        _set_user(account.uid)
        yield
    finally:
        _set_user(uid)
        _set_group(gid)
        _set_groups(groups)


def account_of(uid: int) -> Account:
    """The account with this number, also where the host has no name for it any more."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, _UNKNOWN_GROUP, (_UNKNOWN_GROUP,), "/", "/bin/sh")
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_name, uid, entry.pw_gid, groups, entry.pw_dir, entry.pw_shell)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _set_user(uid: int) -> None:
    _libc().setfsuid(ctypes.c_uint(uid))  # says nothing of success: ask
    if _libc().setfsuid(ctypes.c_uint(0xFFFFFFFF)) != uid:
        raise OSError(errno.EPERM, "the user id for files cannot be changed")


def _set_group(gid: int) -> None:
    _libc().setfsgid(ctypes.c_uint(gid))
    if _libc().setfsgid(ctypes.c_uint(0xFFFFFFFF)) != gid:
        raise OSError(errno.EPERM, "the group id for files cannot be changed")


def _set_groups(groups: Sequence[int]) -> None:
    numbers = (ctypes.c_uint * len(groups))(*groups)
    if _libc().syscall(ctypes.c_long(_number()), ctypes.c_size_t(len(groups)), numbers) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"the groups cannot be changed: {os.strerror(code)}")


@functools.cache
def _number() -> int:
    """The number of the system call ``setgroups`` on this machine."""
    machine = platform.machine()
    if struct.calcsize("P") == 4 and (machine.startswith(("arm", "i")) or machine in _SETGROUPS):
        return _SETGROUPS_32
    if machine not in _SETGROUPS:
        raise OSError(errno.ENOSYS, f"the system call setgroups is not known on {machine}")
    return _SETGROUPS[machine]
