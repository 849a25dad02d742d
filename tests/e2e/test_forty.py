"""Forty instances from one file: created, listed, stopped, started, deleted, gone."""

from __future__ import annotations

from pathlib import Path

from tests.daemon import DaemonProcess
from tests.e2e.looking import listens, nothing_runs, port_of

FORTY = 40


def test_forty_from_a_file(daemon: DaemonProcess, tmp_path: Path) -> None:
    file = tmp_path / "homework.toml"
    file.write_text('name = "homework-{n}"\n[labels]\ncourse = "unix"\n')
    daemon.ctl_json("create", "-f", str(file), "--count", str(FORTY))
    made = daemon.instances(label=["course=unix"])
    assert {item["name"] for item in made} == {f"homework-{n}" for n in range(1, FORTY + 1)}
    assert {item["status"] for item in made} == {"running"}
    urls = {item["id"]: item["url"] for item in made}
    assert len(set(urls.values())) == FORTY

    listed = daemon.ctl("ls", "-o", "name").stdout.split()
    assert len(listed) == FORTY

    daemon.ctl_json("stop", "--label", "course=unix")
    assert {item["status"] for item in daemon.instances()} == {"stopped"}
    nothing_runs(daemon)

    daemon.ctl_json("start", "--label", "course=unix")
    assert {item["id"]: item["url"] for item in daemon.instances()} == urls

    daemon.ctl_json("rm", "--yes", "--label", "course=unix")
    assert daemon.instances() == []
    assert len(daemon.instances(trash=True)) == FORTY
    nothing_runs(daemon)

    daemon.ctl_json("rm", "--yes", "--force", *urls)
    assert daemon.instances(trash=True) == []
    assert [url for url in urls.values() if listens(port_of(url))] == []
    left = [path.name for path in daemon.data.rglob("*") if path.name in urls]
    assert left == []
    assert list((daemon.state / "instances").glob("*.json")) == []
