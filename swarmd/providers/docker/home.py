"""Where an archive's parts lie in a container's home: names and links, both ways.

In an archive the four parts stand beside each other; in a home three of them lie within the
fourth. A relative symbolic link from one part to another is rewritten, so that it leads to the
same file on the other side; every other link is kept as it is, to the letter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Path = tuple[bytes, ...]
"""The components of a relative name; of the place itself: none."""

_HOME: Path = (b"home",)


@dataclass(frozen=True, slots=True)
class HomeLayout:
    """Which folders of a home are which parts; what is in none of them is the part ``home``.

    Args:
        project: The workspace, below the home.
        data: The server's own data (settings, state), below the home.
        extensions: Installed extensions, below the home; may lie within ``data``.

    Raises:
        ValueError: Two of them are one, or one is no folder below the home.
    """

    project: str = "project"
    data: str = ".local/share/code-server"
    extensions: str = ".local/share/code-server/extensions"
    _places: dict[Path, bytes] = field(init=False, repr=False, compare=False)
    _roots: dict[bytes, Path] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        roots = {
            b"workspace": components(self.project.encode()),
            b"user-data": components(self.data.encode()),
            b"extensions": components(self.extensions.encode()),
        }
        if len(set(roots.values())) < len(roots) or any(
            not root or b".." in root for root in roots.values()
        ):
            raise ValueError(f"the places of a home are not three folders below it: {self}")
        object.__setattr__(self, "_places", {root: part for part, root in roots.items()})
        object.__setattr__(self, "_roots", {**roots, b"home": ()})

    def to_archive(self, path: Path) -> Path:
        """The name in an archive of what has this name below the home."""
        for length in range(len(path), 0, -1):
            part = self._places.get(path[:length])
            if part is not None:
                return part, *path[length:]
        return _HOME + path

    def to_home(self, path: Path) -> Path:
        """The name below the home of what has this name in an archive, its part first.

        What would come to lie in the place of another part is put beside it: a folder
        ``home/project`` becomes ``project.home``, since ``project`` is the workspace.
        """
        part, rest = path[0], path[1:]
        here = self._roots[part]
        for length in range(1, len(rest) + 1):
            there = here + rest[:length]
            if self._places.get(there, part) != part:
                return *there[:-1], there[-1] + b"." + part, *rest[length:]
        return here + rest

    def is_part(self, name: bytes) -> bool:
        """Whether an archive has a part of this name."""
        return name in self._roots

    def is_root(self, path: Path) -> bool:
        """Whether a name below the home is a part's own folder."""
        return not path or path in self._places

    @property
    def roots(self) -> tuple[Path, ...]:
        """The parts' folders below the home, but for the home itself."""
        return tuple(self._places)

    def link_to_archive(self, path: Path, target: bytes) -> tuple[bytes, bool]:
        """A symbolic link's target in an archive, and whether it leads out of the home.

        Args:
            path: The link's name below the home.
            target: As it is.
        """
        ups, rest = _steps(target)
        if target.startswith(b"/") or ups >= len(path):
            return target, True
        if b".." in rest:
            return target, False
        return _moved(path, ups, rest, target, self.to_archive), False

    def link_to_home(self, path: Path, target: bytes) -> bytes:
        """A symbolic link's target below the home.

        Args:
            path: The link's name in the archive.
            target: As it is; it does not lead out of the archive.
        """
        ups, rest = _steps(target)
        if target.startswith(b"/") or b".." in rest or ups >= len(path):
            return target
        goal = path[: len(path) - 1 - ups] + rest
        if not goal or goal[0] not in self._roots:  # nothing that an archive holds
            return target
        return _moved(path, ups, rest, target, self.to_home)


def components(name: bytes) -> Path:
    """The components of a name, without what says nothing."""
    if b"//" in name or b"." in name or name[:1] == b"/" or name[-1:] == b"/":
        return tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    return tuple(name.split(b"/")) if name else ()


def _steps(target: bytes) -> tuple[int, Path]:
    """How many folders a relative link goes up at first, and the names after that."""
    steps = components(target)
    ups = 0
    while ups < len(steps) and steps[ups] == b"..":
        ups += 1
    return ups, steps[ups:]


def _moved(path: Path, ups: int, rest: Path, target: bytes, place: Callable[[Path], Path]) -> bytes:
    """The target that leads from the new place of a link to the new place of its goal."""
    here = place(path)[:-1]
    goal = place(path[: len(path) - 1 - ups] + rest)
    if ups <= len(here) and here[: len(here) - ups] + rest == goal:
        return target
    common = 0
    while common < min(len(here), len(goal)) and here[common] == goal[common]:
        common += 1
    return b"/".join((b"..",) * (len(here) - common) + goal[common:]) or b"."
