"""Opening a URL in the browser of the desktop that a client runs on."""

from __future__ import annotations

import os
import subprocess

from swarmd.errors import Unavailable


def start_browser(url: str) -> subprocess.Popen[bytes]:
    """Open it here, if here is a desktop, or ``$BROWSER`` says what opens it.

    What the browser writes goes nowhere: the terminal is the caller's.

    Raises:
        Unavailable: A remote login, no display, or no browser.
    """
    from shutil import which

    chosen = os.environ.get("BROWSER")
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    program = which(chosen or "xdg-open")
    if os.environ.get("SSH_CONNECTION") or not (display or chosen) or program is None:
        raise Unavailable(
            "there is no desktop with a browser here",
            next_step="Open the URL in the browser of your own machine.",
        )
    return subprocess.Popen(
        [program, url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
