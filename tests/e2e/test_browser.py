"""What a person sees: the login, the workbench, a terminal, two instances in one browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import visit
from tests.daemon import DaemonProcess
from tests.e2e.looking import output

pytestmark = [pytest.mark.browser, pytest.mark.code_server, pytest.mark.timeout(300)]


def test_two_instances_in_one_browser_profile(real_daemon: DaemonProcess, tmp_path: Path) -> None:
    daemon = real_daemon
    visits = []
    for name in ("one", "two"):
        daemon.create(name)
        shown = daemon.call("instance.credentials", id=name)
        visits.append({"url": shown["url"], "password": shown["password"]})
    visits[0]["file"] = "from-terminal"

    seen = visit(tmp_path, visits)

    assert [page["asked"] for page in seen] == [True, True], "both ask for the password"
    assert [page["loggedIn"] for page in seen] == [True, True], "neither logs the other out"
    written = daemon.call_stream("instance.exec", id="one", command=["cat", "from-terminal"])
    assert output(written).strip() == "from the terminal"
    other = daemon.call_stream("instance.exec", id="two", command=["ls"])
    assert "from-terminal" not in output(other)
    for name in ("one", "two"):
        daemon.call("instance.delete", id=name, force=True)
