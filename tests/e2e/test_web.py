"""The terminal app in a real browser, through ``swarmctl web``."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser import drive
from tests.daemon import BIN, DaemonProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_the_same_view_for_who_has_the_token(daemon: DaemonProcess, tmp_path: Path) -> None:
    daemon.create("web")
    with subprocess.Popen(
        [BIN / "swarmctl", "web"], stdout=subprocess.PIPE, text=True, env=daemon.environment
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            seen = drive("terminal", tmp_path, url=url, words=["swarmd", "online", "1/1 running"])
        finally:
            server.send_signal(signal.SIGINT)
    place = urlsplit(url)
    assert place.hostname == "127.0.0.1"
    assert seen["refused"] == 403
    assert seen["address"] == url
    assert seen["cookies"] == [], "they would go to every port of this host"
    assert seen["hosts"] == [place.netloc], "nothing is fetched from anywhere else"
    assert server.returncode == 0
