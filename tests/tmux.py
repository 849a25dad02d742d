"""A real terminal for tests: tmux, with keys sent and the screen read."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.daemon import DaemonProcess
from tests.support import require, wait_until


class Screen:
    """A terminal under tmux, with a server of its own."""

    def __init__(self, folder: Path, daemon: DaemonProcess) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._environment = daemon.environment

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [*self._tmux, *words], capture_output=True, text=True, check=True, timeout=20,
            env=self._environment,
        )  # fmt: skip
        return done.stdout

    def open(self, *command: object, lines: int, columns: int = 100) -> None:
        words = f"{shlex.join(map(str, command))}; echo ended with $?; read end"
        self.run("new-session", "-d", "-x", str(columns), "-y", str(lines), words)

    def text(self) -> str:
        return self.run("capture-pane", "-p")

    def until(self, words: str) -> str:
        wait_until(lambda: words in self.text(), timeout=20, describe=self.text)
        return self.text()

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: ``Enter``, ``C-c``, or letters."""
        self.run("send-keys", *keys)

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@contextmanager
def screen_of(daemon: DaemonProcess) -> Iterator[Screen]:
    """A terminal whose programs find this daemon."""
    require("tmux", shutil.which("tmux"), "a real terminal is one of tmux")
    # A socket's path is at most 107 long, and pytest's folders are deep.
    found = Screen(daemon.socket.parent, daemon)
    try:
        yield found
    finally:
        found.close()
