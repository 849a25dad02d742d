"""``swarmctl metrics`` and ``swarmctl top`` over a real socket."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from swarmd.cli.commands.top import cpu_percent, order
from swarmd.errors import ResourceLimitError
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance, replace
from swarmd.messages.operation import Caller
from tests.cli.driver import COMMAND, ME, clean_env, ctl, names
from tests.cli.server import Served

# --- metrics ----------------------------------------------------------------------------------


def test_each_step_is_a_line_and_a_gap_has_dashes(served: Served, web: Instance) -> None:
    ran = ctl("metrics", "--since", "10m", "--step", "5m")
    assert (ran.code, ran.err) == (0, "")
    steps, operations = (part.splitlines() for part in ran.out.split("\n\n"))
    assert steps[0].split() == [
        "FROM", "TOTAL", "RUNNING", "UNHEALTHY", "ENDED", "FAILED", "P50", "P95", "DAEMON",
    ]  # fmt: skip
    assert steps[1].split()[2:] == ["1", "1", "1", "2", "1", "250ms", "3.0s", "40M"]
    assert steps[2].split()[2:] == ["-"] * 8
    assert max(map(len, steps)) <= 80
    assert operations[1].split() == ["create", "2", "1", "0", "250ms", "3.0s", "3.0s", "3.0s"]


def test_a_wide_table_has_more_columns(served: Served, web: Instance) -> None:
    ran = ctl("metrics", "-o", "wide", "--since", "10m")
    assert ran.out.splitlines()[0].split()[-1] == "SAMPLES"


def test_as_a_document_it_is_the_report(served: Served, web: Instance) -> None:
    data = ctl("metrics", "--since", "10m", "--step", "5m", "-o", "json").data
    assert [each["samples"] for each in data["points"]] == [1, 0, 0]
    assert data["total"]["operations"]["create"]["failed"] == 1
    assert data["step"] == "300s"


def test_for_prometheus_it_is_the_text_alone(served: Served) -> None:
    assert ctl("metrics", "--format", "prometheus").out == "swarmd_instances 1\n"
    as_json = ctl("metrics", "--format", "prometheus", "-o", "json").data
    assert as_json["text"] == "swarmd_instances 1\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--since", "yesterday"], "yesterday"),
        (["--since", "1h", "--until", "2h"], "not before"),
        (["--since", "9d", "--step", "1s"], "points"),
        (["--step", "fast"], "duration"),
        (["--format", "html"], "html"),
    ],
)
def test_what_is_no_time_is_wrong_usage(served: Served, words: list[str], says: str) -> None:
    ran = ctl("metrics", *words)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


# --- top --------------------------------------------------------------------------------------


def test_top_once_is_a_table(served: Served, web: Instance) -> None:
    api = served.on_loop(served.daemon.add, "api", owner=ME)
    served.daemon.by_id[api.id] = replace(api, status=InstanceStatus.STOPPED)
    ran = ctl("top", "--once", "-i", "0.1s")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].split() == [
        "NAME", "STATUS", "HEALTH", "CPU", "MEMORY", "OF", "DISK", "PIDS", "PROVIDER",
    ]  # fmt: skip
    assert lines[1].split() == [
        f"{ME}/web", "running", "unknown", "-", "1.0M", "-", "-", "-", "local",
    ]  # fmt: skip


def test_top_of_some(served: Served, web: Instance) -> None:
    served.on_loop(served.daemon.add, "api", owner=ME)
    assert names(ctl("top", "--once", "-i", "0.1s", "web"))[1:] == [f"{ME}/web"]
    assert ctl("top", "--once", "-i", "0.1s", "nobody").code == 3
    assert names(ctl("top", "--once", "-i", "0.1s", "-o", "name")) == [f"{ME}/api", f"{ME}/web"]


def test_top_without_instances(served: Served) -> None:
    ran = ctl("top", "--once", "-i", "0.1s")
    assert (ran.code, ran.out, ran.err) == (0, "", "No instances yet.\n")


def test_top_as_documents(served: Served, web: Instance) -> None:
    ran = ctl("top", "-n", "2", "-i", "0.1s", "-o", "json")
    assert [json.loads(line)["data"]["items"][0]["id"] for line in ran.out.splitlines()] == [
        web.id, web.id,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-i", "0s"], "0.1 s"),
        (["-n", "0"], "x>=1"),
        (["--sort", "beauty"], "beauty"),
        (["--interval", "soon"], "duration"),
    ],
)
def test_wrong_words_are_wrong_usage(served: Served, words: list[str], says: str) -> None:
    ran = ctl("top", *words)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_a_provider_that_does_not_tell_costs_the_figures_alone(
    served: Served, web: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stats(caller: Caller, refs: tuple[str, ...]) -> Any:
        raise ResourceLimitError("the engine hangs")

    monkeypatch.setattr(served.daemon, "stats", stats)
    ran = ctl("top", "--once", "-i", "0.1s")
    assert ran.code == 0
    assert "the engine hangs" in ran.err
    assert ran.out.splitlines()[1].split()[3:8] == ["-"] * 5


def test_ctrl_c_ends_top_in_a_pipe(served: Served, web: Instance, tmp_path: Path) -> None:
    env = clean_env(tmp_path, SWARMD_SOCKET=str(served.path), USER=ME)
    with subprocess.Popen(
        [*COMMAND, "top", "-i", "60s"],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline().startswith("NAME")
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=20)
    assert (child.returncode, told) == (130, "interrupted\n")


def used(seconds: float | None, at: int) -> dict[str, Any]:
    return {"cpu_seconds": seconds, "taken_at": f"2026-01-31T12:00:{at:02}Z"}


@pytest.mark.parametrize(
    ("before", "now", "percent"),
    [
        (used(1.0, 0), used(2.0, 2), 50.0),
        (used(1.0, 0), used(7.0, 2), 300.0),
        (used(1.0, 0), used(1.0, 2), 0.0),
        (None, used(2.0, 2), None),
        (used(None, 0), used(2.0, 2), None),
        (used(1.0, 0), used(None, 2), None),
        (used(9.0, 0), used(0.5, 2), None),
        (used(1.0, 2), used(2.0, 2), None),
    ],
)
def test_cpu_is_of_one_core_between_two_looks(
    before: dict[str, Any] | None, now: dict[str, Any], percent: float | None
) -> None:
    assert cpu_percent(before, now) == percent


ROWS: tuple[dict[str, Any], ...] = (
    {"owner": "o", "name": "a", "status": "stopped", "provider": "z"},
    {"owner": "o", "name": "b", "status": "running", "provider": "y"},
    {"owner": "o", "name": "c", "status": "running", "provider": "x", "cpu_percent": 0.0,
     "memory_bytes": 9, "disk_bytes": 1},
    {"owner": "o", "name": "d", "status": "running", "provider": "x", "cpu_percent": 90.0,
     "memory_bytes": 5, "pids": 4},
)  # fmt: skip


@pytest.mark.parametrize(
    ("sort", "expected"),
    [("cpu", "dcba"), ("memory", "cdba"), ("disk", "cbda"), ("pids", "dbca"), ("name", "abcd"),
     ("status", "bcda"), ("provider", "cdba")],
)  # fmt: skip
def test_the_most_comes_first_and_the_unknown_last(sort: str, expected: str) -> None:
    assert "".join(str(row["name"]) for row in sorted(ROWS, key=order(sort))) == expected
