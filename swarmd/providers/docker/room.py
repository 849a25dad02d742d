"""How much is left on the disks of an engine that is on this host; of another one nobody tells.

The API has no figure for it. Where the engine's folders are this host's own, the kernel has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from swarmd.messages.instance import Instance
from swarmd.providers.docker.marks import volume_name
from swarmd.providers.shared.room import room_left


def folders_of(engine: str, info: Mapping[str, Any]) -> Path | None:
    """Where an engine keeps everything, if that is a folder of this host; else None.

    A socket here may lead to an engine elsewhere: in a virtual machine, or in a container. Then
    its host's name or kernel is another one, and what lies here at its path is not its own.

    Args:
        engine: Its URL.
        info: Its ``/info``.
    """
    here = os.uname()
    same = (info.get("Name"), info.get("KernelVersion")) == (here.nodename, here.release)
    root = str(info.get("DockerRootDir") or "")
    if not (same and engine.startswith("unix:") and root.startswith("/")):
        return None
    found = Path(os.path.realpath(root))
    return found if found.is_dir() else None


def left_for(instance: Instance, root: Path) -> int | None:
    """Bytes that an instance may still write: the least of its volume's disk and the others.

    Its volume may lie on a disk of its own. Who may not look below the engine's folder (it is
    root's) is told of the disk that this lies on.

    Args:
        instance: Whose.
        root: The engine's folder, as ``folders_of`` found it.
    """
    left = [room for room in map(room_left, _places(instance, root)) if room is not None]
    return min(left, default=None)


def _places(instance: Instance, root: Path) -> Iterator[Path]:
    yield root
    yield root / "volumes" / volume_name(instance.id) / "_data"
    workspace = instance.config.workspace
    if workspace is not None and workspace.startswith("/"):
        yield Path(workspace)
