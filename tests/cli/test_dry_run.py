"""``swarmctl create --dry-run``: what it shows, and that it makes nothing."""

from __future__ import annotations

from pathlib import Path

from tests.cli.driver import ctl
from tests.cli.server import Served


def test_it_shows_where_and_why(served: Served) -> None:
    ran = ctl("create", "web", "--memory", "2g", "--dry-run")
    assert ran.code == 0
    lines = [line.split(None, 3) for line in ran.out.splitlines()]
    assert lines == [
        ["RANK", "PROVIDER", "SCORE", "WHY"],
        ["1", "local", "1.5", "best; capacity 1, memory 0.5"],
        ["-", "full", "-", "provider full has 5 instances, its most"],
    ]
    assert "web would be made at local (strategy balanced). Nothing was made." in ran.err
    assert served.daemon.by_id == {}
    assert served.daemon.ops == {}


def test_for_programs(served: Served) -> None:
    found = ctl("create", "web", "--dry-run", "-o", "json").data
    assert (found["instance"], found["chosen"], found["strategy"]) == ("web", "local", "balanced")
    assert found["refused"][0]["provider"] == "full"
    assert ctl("create", "web", "--dry-run", "-o", "name").out == "local\n"


def test_several(served: Served) -> None:
    ran = ctl("create", "web", "--count", 2, "--dry-run")
    assert sorted(ran.out.splitlines()) == ["web-1  local  1.5", "web-2  local  1.5"]
    assert "2 would be placed" in ran.err
    both = ctl("create", "web", "--count", 2, "--dry-run", "-o", "json")
    assert {each["data"]["instance"] for each in both.data} == {"web-1", "web-2"}
    assert served.daemon.by_id == {}


def test_it_fails_as_the_create_would(served: Served) -> None:
    ran = ctl("create", "web", "--provider", "nobody", "--dry-run")
    assert (ran.code, ran.out) == (3, "")
    assert "there is no provider 'nobody'" in ran.err


def test_the_provider_of_the_request_in_a_file(served: Served, tmp_path: Path) -> None:
    """Flags win over the file, whichever of its two places names a provider."""
    file = tmp_path / "web.toml"
    file.write_text('at_provider = "nobody"\n[config]\nname = "web"\n')
    assert ctl("create", "-f", file, "--dry-run").code == 3
    assert ctl("create", "-f", file, "--provider", "local", "--dry-run").code == 0


def test_help_tells_of_it() -> None:
    text = " ".join(ctl("create", "--help").out.split())
    assert "--dry-run" in text
    assert "--provider-label" in text
    assert text.count("--provider ") == 1
