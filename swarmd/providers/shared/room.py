"""How much is left on a disk of this host."""

from __future__ import annotations

import os
from pathlib import Path

_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def room_left(folder: Path) -> int | None:
    """Bytes that any user may still take on the disk of a folder; a quota there counts.

    None if it is no folder, or none that can be reached: an account may have put a link in the
    place of its own, and what that names is not asked.

    Args:
        folder: Its path.
    """
    try:
        place = os.open(folder, _PLACE)
    except OSError:
        return None
    try:
        disk = os.fstatvfs(place)
    except OSError:  # a server of files that does not answer
        return None
    finally:
        os.close(place)
    # One that counts no blocks at all has none of its own: nothing is known of it.
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else None
