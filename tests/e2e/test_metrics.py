"""What a real daemon measures: over the socket, over HTTP, over kill -9, and in a terminal."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.daemon import BIN, DaemonProcess, Refused
from tests.e2e.conftest import MakeDaemon
from tests.support import free_port, wait_until
from tests.tmux import Screen

SAMPLES_PER_FILE = 144


def total(daemon: DaemonProcess) -> Any:
    return daemon.call("daemon.metrics", since="1h")["total"]


def files(daemon: DaemonProcess) -> list[Path]:
    return sorted((daemon.state / "metrics").glob("metrics-*.jsonl"))


def test_a_day_of_the_daemon(make_daemon: MakeDaemon) -> None:
    """Measured, told, killed with -9 at once, told again; the oldest files go."""
    port = free_port()
    telemetry = {"interval": "0.2s", "files": 3, "listen": f"127.0.0.1:{port}"}
    daemon = make_daemon(settings={"telemetry": telemetry}).start()
    daemon.create("web")
    daemon.create("api")
    daemon.call("instance.stop", id="api")
    with pytest.raises(Refused):
        daemon.create("web")

    now = total(daemon)
    assert now["operations"]["create"]["succeeded"] == 2
    assert now["operations"]["stop"]["succeeded"] == 1
    assert now["operations"]["create"]["latency"]["min"] > 0
    assert now["figures"]["instances.total"]["max"] == 2
    assert now["figures"]["providers.local.ok"]["last"] == 1.0

    told = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    families = {each.name: each for each in text_string_to_metric_families(told)}
    counters = {tuple(s.labels.values()): s.value for s in families["swarmd_operations"].samples}
    assert counters["create", "succeeded"] == 2
    over_socket = daemon.call("daemon.metrics", format="prometheus")["text"]
    assert {each.name for each in text_string_to_metric_families(over_socket)} == families.keys()

    long_ago = ("--since", "2020-01-01T00:00:00Z", "--until", "2020-01-01T04:00:00Z")
    said = daemon.ctl("metrics", *long_ago).stderr
    assert "Nothing was measured in this time." in said

    assert daemon.stop() == 0
    daemon.start()
    daemon.call("instance.delete", id="api")
    daemon.kill()
    [newest] = files(daemon)
    line = newest.read_bytes().splitlines()[0] + b"\n"
    # Days ago, and a crash in the middle of a line of the newest file, which is full.
    for day in range(1, 6):
        (daemon.state / "metrics" / f"metrics-2026010{day}T000000.000000Z.jsonl").write_bytes(line)
    with newest.open("ab") as file:
        file.write(line * SAMPLES_PER_FILE + b'{"timestamp":')
    daemon.start()
    again = total(daemon)["operations"]
    assert again["delete"]["succeeded"] == 1, "it ended in the moment of the kill"
    assert again["stop"]["succeeded"] >= 1
    assert daemon.stop() == 0
    assert [each.name for each in files(daemon)[:2]] == [
        "metrics-20260105T000000.000000Z.jsonl", newest.name,
    ]  # fmt: skip
    assert len(files(daemon)) == 3
    status = json.loads((daemon.state / "swarm-state.json").read_text())
    assert status["state"] == "shutting_down"
    assert status["instances"]["by_provider"] == {"local": 2}
    assert {"initialized", "providers", "instances", "health", "migrations"} <= status.keys()
    assert status["providers"][0]["capabilities"]["config_fields"]


def test_metrics_and_top_on_the_command_line(daemon: DaemonProcess) -> None:
    daemon.create("web")
    shown = daemon.ctl("metrics", "--since", "10m", "--step", "1m")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[0].split()[:3] == ["FROM", "TOTAL", "RUNNING"]
    assert shown.stdout.splitlines()[-1].split()[:2] == ["create", "1"]
    report = daemon.ctl_json("metrics", "--since", "10m")
    assert report["total"]["operations"]["create"]["succeeded"] == 1
    text = daemon.ctl("metrics", "--format", "prometheus").stdout
    assert "swarmd_instances" in {each.name for each in text_string_to_metric_families(text)}
    refused = daemon.ctl("metrics", "--since", "10m", "--step", "1ms")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "step" in refused.stderr
    once = daemon.ctl("top", "-n", "2", "--interval", "0.2s", "--sort", "memory")
    assert once.returncode == 0, once.stderr
    first, second = once.stdout.split("\n\n")
    for table in (first, second):
        head, row = table.strip().splitlines()
        assert head.split()[:5] == ["NAME", "STATUS", "HEALTH", "CPU", "MEMORY"]
        assert row.split()[1] == "running"
        assert row.split()[3].endswith("%")
    [item] = daemon.ctl_json("top", "--once")["items"]
    assert item["name"] == "web"
    assert item["memory_bytes"] > 0
    assert item["cpu_percent"] >= 0


def test_top_in_a_real_terminal(daemon: DaemonProcess, screen: Screen) -> None:
    daemon.create("web")
    for name in ("a", "b", "c", "d", "e", "f", "g"):
        daemon.call("instance.create", config={"name": name}, start=False)
    screen.open(BIN / "swarmctl", "top", "--interval", "0.3s", lines=9)
    seen = screen.until("running").splitlines()
    assert seen[0].startswith("swarmd is ready")
    assert seen[2].startswith("NAME")
    assert seen[3].split()[1] == "running"
    assert "… 4 more" in seen[7]
    screen.until("%")
    daemon.call("instance.stop", id="web")
    # It is drawn in place: of what was there before, nothing is left.
    wait_until(lambda: "running" not in screen.text(), timeout=20, describe=screen.text)
    assert screen.text().count("NAME") == 1
    screen.run("send-keys", "C-c")
    assert "ended with 130" in screen.until("ended with")
