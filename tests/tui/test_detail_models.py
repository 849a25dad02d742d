"""What the view of one instance and the forms decide, without a terminal."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from swarmd.messages import codec
from swarmd.messages.enums import HealthStatus, InstanceStatus, OperationKind
from swarmd.messages.health import HealthPoint
from swarmd.messages.instance import InstanceConfig, InstanceStats, Network, PortSpec, replace
from swarmd.messages.operation import Progress
from swarmd.messages.provider import ProviderHealth
from tests.tui import detail, scene
from tui.model.bars import progress
from tui.model.checkup import chart, checkup, columns, runs
from tui.model.configuration import as_toml
from tui.model.lines import Kept, Resumed, Splitter
from tui.model.overview import overview, troubles
from tui.model.rows import runs_since
from tui.model.telling import busy_cores, story, use
from tui.model.text import clean, folded, pieces, plain
from tui.model.typed import (
    numbered,
    read_create,
    read_update,
    requests_of,
    texts_of,
    waits_for_restart,
)

# --- text ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07text", "text"),
        ("10 %\r50 %\r100 %\r", "100 %"),
        ("a\tb", "a       b"),
        ("bell\x07", "bell�"),
    ],
)
def test_nothing_steers_the_terminal(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@given(st.text(max_size=300), st.integers(1, 40))
@example("\u2f00", 1)
def test_nothing_is_wider_than_its_room_and_nothing_is_lost(text: str, width: int) -> None:
    text = clean(text.replace("\n", " "))
    rows = [text[start:end] for start, end in pieces(width, text)]
    assert "".join(rows) == text
    assert all(cell_len(row) <= max(2, width) for row in rows)
    parts = list(folded(text, width))
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(cell_len(part) <= max(2, width) for part in parts)


# --- logs ------------------------------------------------------------------------------------


@given(st.lists(st.text("abé\n", max_size=20)), st.integers(1, 7))
def test_lines_are_the_same_however_they_are_cut(texts: list[str], cut: int) -> None:
    data = "".join(texts).encode()
    splitter, found = Splitter(), []
    for start in range(0, len(data), cut):
        found += splitter.feed(data[start : start + cut])
    found += splitter.feed(b"", end=True)
    whole = data.decode().split("\n")
    assert found == (whole if whole[-1] else whole[:-1])


def test_a_line_without_end_takes_no_more_room_than_others() -> None:
    splitter = Splitter()
    found = [line for _ in range(40) for line in splitter.feed(b"x" * 1000)]
    assert sum(map(len, found)) >= 32_000
    assert max(map(len, found)) <= 16_384


@given(st.lists(st.integers(1, 30), max_size=30))
def test_the_latest_are_kept_and_the_others_counted(sizes: list[int]) -> None:
    kept = Kept(lines=50, bytes=400)
    all_of_them: list[str] = []
    for size in sizes:
        some = [f"{len(all_of_them) + n:05d}" for n in range(size)]
        all_of_them += some
        kept.add(some)
    assert kept.lines == all_of_them[kept.dropped :]
    assert len(kept.lines) <= 50


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 20))
def test_a_log_goes_on_where_it_broke(had: int, more: int, cut: int) -> None:
    log = [f"line {n}" for n in range(had + more)]
    kept = Kept()
    kept.add(log[:had])
    resumed, new = Resumed(kept.anchor, 2000), []
    told = log[-2000:]
    for start in range(0, len(told), cut):
        lines, gap = resumed.feed(told[start : start + cut])
        assert not gap
        new += lines
    assert new == log[had:]


def test_what_is_missing_is_said() -> None:
    resumed = Resumed(["a", "b"], 3)
    assert resumed.feed(["x"]) == ([], False)
    assert resumed.feed(["y", "z"]) == (["x", "y", "z"], True)
    assert resumed.feed(["a"]) == (["a"], False)
    other = Resumed(["a"], 100)
    other.feed(["b"])
    assert other.waits
    assert other.give_up() == (["b"], True)
    assert other.give_up() == ([], False)


# --- overview --------------------------------------------------------------------------------


def first_words(instance: Any, **facts: Any) -> list[str]:
    given_facts: dict[str, Any] = {"health": None, "operations": (), "provider": None} | facts
    return [text for _, text, _ in troubles(instance, **given_facts)]


def test_what_is_wrong_stands_first_and_most_of_all_its_provider() -> None:
    down = scene.provider(
        "local", health=ProviderHealth(ok=False, message="no engine answers", next_step="Start it.")
    )
    words = first_words(detail.DOCS, health=detail.ill(detail.DOCS), provider=down)
    assert words[0] == "Its provider local: no engine answers"
    assert words[1].startswith("the server ended with status 3")
    assert len(words) == 2, "an error is not told a second time as its illness"
    failed = replace(detail.WEB, restart_required=(), last_error=detail.DOCS.last_error)
    (_, said, step), *_ = troubles(failed, None, (), None)
    assert said.startswith("the server ended")
    assert "F recovers" not in step, "it runs: F would end what runs in it"
    slow = detail.ill(detail.WEB)
    assert first_words(detail.WEB, health=slow)[0].startswith(f"It is {slow.status}")
    assert first_words(replace(detail.WEB, restart_required=())) == []


def test_what_is_otherwise_than_wished_is_said_unless_it_is_being_done() -> None:
    lost = scene.instance("x", number=1, status=InstanceStatus.STOPPED)
    assert first_words(lost) == ["Its status is stopped, and it is to be running"]
    start = scene.operation(1, OperationKind.START, lost, progress=Progress(message="soon"))
    assert first_words(lost, operations=(start,)) == ["start: soon"]
    on_its_way = scene.instance("x", number=1, status=InstanceStatus.STARTING)
    assert first_words(on_its_way) == []


@pytest.mark.parametrize("width", [40, 78, 138])
def test_nothing_of_the_overview_is_cut(width: int) -> None:
    lines = list(
        overview(detail.WEB, detail.well(detail.WEB), (), None, now=scene.NOW, width=width)
    )
    assert all(cell_len(plain(line)) <= width for line in lines)
    text = "\n".join(map(plain, lines))
    for fact in ("21001", "3000/tcp", "VS Code", "2 cores", "golang.go", "cannot be", "LANG"):
        assert fact in text
    assert "ana:pw" not in text


def test_the_configuration_can_be_read_again() -> None:
    text = as_toml(detail.CONFIG)
    again = codec.convert(tomllib.loads(text), InstanceConfig)
    assert codec.to_plain(again) == codec.to_plain(detail.CONFIG)
    secret = read_create({"name": "a", "password": "hush-hush"}).wanted
    assert "hush-hush" not in as_toml(codec.convert(secret, InstanceConfig))


# --- health ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [78, 138])
@pytest.mark.parametrize("count", [1, 2, 69, 240])
def test_the_chart_fits_and_shows_the_worst_of_each_span(width: int, count: int) -> None:
    points = tuple(detail.history())[-count:]
    lines = [plain(line) for line in chart(points, width=width, height=5)]
    assert all(cell_len(text) <= width for text in lines)
    spans = columns(points, width - 9)
    assert sum(map(len, spans)) == count
    if count == 240:
        assert "█" in lines[6]  # the unhealthy ones, however few
        assert "128 ms" in lines[1]


def test_points_without_an_answer_and_at_one_moment_are_no_matter() -> None:
    points = [HealthPoint(at=scene.NOW, status=HealthStatus.UNKNOWN)] * 200
    assert list(chart(points, width=40, height=4))
    assert runs(points) == [(points[0], points[0], 200)]


def test_the_checks_have_value_and_limit() -> None:
    lines = list(checkup(detail.well(detail.WEB), now=scene.NOW, width=78, height=20))
    text = "\n".join(map(plain, lines))
    assert "14 ms  1 s" in text
    assert "61%  90%" in text
    assert "running  running" in text


# --- story, use, progress --------------------------------------------------------------------


def test_the_story_is_told_newest_last() -> None:
    text = "\n".join(plain(line) for line in story(detail.STORY, width=60))
    assert text.index("asked for by ana") < text.index("137") < text.index("waits for a restart")


def test_how_busy_it_is_takes_two_measurements() -> None:
    one, two = detail.stats("x", 1), detail.stats("x", 3)
    assert busy_cores((one,)) is None
    assert busy_cores((one, two)) == pytest.approx(0.7)
    assert busy_cores((two, replace_stats(one, cpu_seconds=0.0))) is None  # not backwards
    assert "35% of 2.00 cores" in "\n".join(map(plain, use((one, two), 2.0)))
    nothing = InstanceStats(id="x", taken_at=scene.NOW)
    assert "-" in plain(list(use((nothing,), None))[1])
    assert "does not run" in plain(next(iter(use((), None))))


def replace_stats(of: InstanceStats, **changes: Any) -> InstanceStats:
    taken = of.taken_at - timedelta(seconds=1)
    plain_stats = {field: getattr(of, field) for field in of.__struct_fields__}
    return InstanceStats(**{**plain_stats, "taken_at": taken, **changes})


def test_progress_as_a_bar() -> None:
    assert progress(None) == ""
    assert progress(0.5, 4) == "██··  50%"


# --- forms -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({}, "name", "Which name?"),
        ({"name": "a b"}, "name", "contains ' '"),
        ({"name": "a", "memory": "lots"}, "memory", "expected a size"),
        ({"name": "a", "cpu": "two"}, "cpu", "expected a number"),
        ({"name": "a", "cpu": "-1"}, "cpu", "> 0"),
        ({"name": "a", "count": "0"}, "count", "1 to 1000"),
        ({"name": "a", "labels": "team"}, "labels", "key=value"),
        ({"name": "a", "labels": "team='red"}, "labels", "not closed"),
        ({"name": "a", "labels": "te*am=1"}, "labels", "not a valid key"),
        ({"name": "a", "extensions": "python"}, "extensions", "not an extension"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(values: dict[str, str], field: str, words: str) -> None:
    problems = read_create(values).problems
    assert list(problems) == [field]
    assert words in problems[field]


def test_a_form_becomes_requests() -> None:
    read = read_create(
        {
            "name": "hw-{n}", "count": "3", "provider": "local", "workspace": "/srv/hw",
            "memory": "2g", "cpu": "0.5", "labels": "team=red course='VS Code'",
            "extensions": "a.b, c.d@1", "password": "pw", "start": "no",
        }
    )  # fmt: skip
    assert read.problems == {}
    first, *others = requests_of(read)
    assert [each.config.name for each in (first, *others)] == ["hw-1", "hw-2", "hw-3"]
    assert first.start is False
    assert first.config.labels == {"team": "red", "course": "VS Code"}
    assert first.config.extensions == ("a.b", "c.d@1")
    assert first.config.auth.credentials is not None
    assert numbered("web", 2, 3) == "web-2"
    assert numbered("web", 1, 1) == "web"


def test_an_untouched_form_changes_nothing() -> None:
    config = replace_ports(detail.CONFIG)
    assert read_update(texts_of(config), config).wanted == {}


def replace_ports(config: InstanceConfig) -> InstanceConfig:
    wanted = codec.to_plain(config)
    wanted["network"] = codec.to_plain(Network(ports=(PortSpec(container_port=80),)))
    made: InstanceConfig = codec.convert(wanted, InstanceConfig)
    return made


def test_a_change_is_a_merge_patch() -> None:
    texts = texts_of(detail.CONFIG)
    read = read_update(
        {**texts, "memory": "4g", "cpu": "", "labels": "team=blue", "protect": "no"},
        detail.CONFIG,
    )
    assert read.problems == {}
    assert read.wanted == {
        "resources": {"memory": "4g", "cpu": None},
        "labels": {"team": "blue", "course": None},
        "protect": False,
    }
    assert waits_for_restart(detail.CONFIG, read.wanted, ("resources.memory",)) == (
        "resources.cpu",
    )


def test_of_many_what_is_empty_stays() -> None:
    read = read_update({"memory": "", "cpu": "-", "labels": "a=1", "pids": "8"}, None)
    assert read.wanted == {"resources": {"cpu": None, "pids": 8}, "labels": {"a": "1"}}
    assert "pids" in read.problems


def test_what_does_not_run_is_not_up_whenever_it_was_started() -> None:
    web = scene.instance("web", started_at=scene.ago(60))
    assert runs_since(web) == scene.ago(60)
    assert runs_since(replace(web, status=InstanceStatus.ERROR)) is None
