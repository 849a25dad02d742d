"""What an archive may hold that nobody vouches for, told before anything of it is made."""

from __future__ import annotations

from dataclasses import dataclass

from swarmd.providers.shared.tarformat import Kind, Member, leads_outside
from swarmd.providers.shared.tarreader import refused

PARTS = ("workspace", "home", "user-data", "extensions")
"""What an archive holds at its top: the places of an instance's data, whatever the provider."""

SMALLER = "Remove what is not needed, then export it again."
MODES = 0o1777  # set-user-id and set-group-id are taken off: nothing here may raise rights
_PART_NAMES = frozenset(part.encode() for part in PARTS)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may hold.

    Args:
        size: Bytes of data, holes not counted.
        apparent: Bytes of all files, holes counted.
        entries: Members.
        folders: Members that are folders; they are remembered until the end.
        folder_names: Bytes of the names of those folders, together.
        name: Bytes of one component of a name.
        path: Bytes of a whole name, and of a link's target.
        depth: Components of a name.
    """

    size: int = 256 << 30
    apparent: int = 16 << 40
    entries: int = 10_000_000
    folders: int = 500_000
    folder_names: int = 64 << 20
    name: int = 255
    path: int = 4000
    depth: int = 256


class Rules:
    """Looks at members one after the other, and counts.

    Args:
        limits: How much the archive may hold.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._size = self._apparent = self._entries = 0

    def admit(self, member: Member) -> list[bytes]:
        """The parts of a member's name, having seen that it may be.

        Raises:
            ValidationError: It is refused, or it is one too many.
        """
        parts = self._name_of(member)
        self._count(member)
        return parts

    def _name_of(self, member: Member) -> list[bytes]:
        name, limits = member.name, self._limits
        words = shown(name)
        if not name or b"\0" in name or b"\0" in member.target:
            raise refused(f"the archive has a name that is none: {words}")
        if name.startswith(b"/"):
            raise refused(f"the archive has an absolute name: {words}")
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise refused(f"the archive has a name with .. in it: {words}")
        if len(name) > limits.path or len(member.target) > limits.path:
            raise refused(f"the archive has a name or target over {limits.path} bytes: {words}")
        if len(parts) > limits.depth:
            raise refused(f"the archive has a name deeper than {limits.depth}: {words}")
        if any(len(part) > limits.name for part in parts):
            raise refused(f"the archive has a name part over {limits.name} bytes: {words}")
        if parts and parts[0] not in _PART_NAMES:
            raise refused(f"the archive has a member outside {', '.join(PARTS)}: {words}")
        if len(parts) < 2 and member.kind is not Kind.FOLDER:
            raise refused(
                f"the archive has a member that is no folder in a folder's place: {words}"
            )
        return parts

    def _count(self, member: Member) -> None:
        limits = self._limits
        self._entries += 1
        self._apparent += member.size
        extents = member.extents
        self._size += member.size if extents is None else sum(part.size for part in extents)
        if self._entries > limits.entries:
            raise refused(f"the archive has more than {limits.entries} members", SMALLER)
        if self._size > limits.size:
            raise refused(f"the archive holds more than {limits.size} bytes", SMALLER)
        if self._apparent > limits.apparent:
            raise refused(f"the archive's files are larger than {limits.apparent} bytes", SMALLER)


def check_symlink(member: Member, parts: list[bytes]) -> None:
    """Refuse a symbolic link to nothing, or out of the tree if the export did not mark it.

    Raises:
        ValidationError: It is refused.
    """
    if not member.target:
        raise refused(f"the archive has a link to nothing: {shown(member.name)}")
    if not member.outside and leads_outside(b"/".join(parts), member.target):
        raise refused(
            f"the archive has a link out of the tree: {shown(member.name)} -> "
            f"{shown(member.target)}"
        )


def hardlink_parts(member: Member) -> list[bytes]:
    """The parts of a hard link's target.

    Raises:
        ValidationError: It leads out of the tree.
    """
    parts = [part for part in member.target.split(b"/") if part not in (b"", b".")]
    if member.target.startswith(b"/") or b".." in parts or not parts:
        raise refused(
            f"the archive has a hard link out of the tree: {shown(member.name)} -> "
            f"{shown(member.target)}"
        )
    return parts


def shown(name: bytes) -> str:
    """A name as a message may show it."""
    return repr(name[:200].decode(errors="replace"))
