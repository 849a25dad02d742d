"""The configuration file: which is read, what it gives, how its errors read."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from swarmd.configuration import find_file, load, parse
from swarmd.errors import ConfigError, ValidationError
from swarmd.messages.config import Config
from swarmd.messages.units import Duration, Size


def failure(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("/etc/x.toml"))
    return caught.value


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("[instances]\nstart_timout = 3", "instances.start_timout", "unknown key"),
        ("[instance]\n", "instance", "unknown key"),
        ("[instances]\nstart_timeout = '12x'", "instances.start_timeout", "expected a duration"),
        ("[instances]\nstop_grace = -1", "instances.stop_grace", "expected a duration"),
        ("[instances]\nmax_age = 9\n[health]\nenabled = false", "instances.max_age", "no effect"),
        ("[instances]\nstory_length = 'a'", "instances.story_length", "a whole number"),
        ("[instances]\nstory_length = 3", "instances.story_length", ">= 10"),
        ("[instances]\nstart_timeout = 0", "instances.start_timeout", "more than 0"),
        ("[journal]\nmax_size = '12x'", "journal.max_size", "expected a size"),
        ("[journal]\nsegment_size = '1g'", "journal.segment_size", "at most journal.max_size"),
        ("[journal]\nsegment_size = 1", "journal.segment_size", '"4k"'),
        ("[daemon]\ninsecure = 'yes'", "daemon.insecure", "true or false"),
        ("[daemon]\nobserve_interval = 0", "daemon.observe_interval", "at least"),
        ("[health]\ncheck_interval = 0", "health.check_interval", "at least"),
        ("[health]\ncheck_interval = '49ms'", "health.check_interval", "at least 0.05 s"),
        ("[health]\ntimeout = 0", "health.timeout", "more than 0"),
        ("[health]\nfailures = 0", "health.failures", ">= 1"),
        ("[health]\ndegraded_share = 1.5", "health.degraded_share", "<= 1"),
        ("[health]\nhistory_size = 0", "health.history_size", ">= 1"),
        ("[health]\nmax_parallel = 65", "health.max_parallel", "<= 64"),
        ("[health]\nrecovery_actions = ['reboot']", "health.recovery_actions[0]", "one of"),
        ("[health]\ngrace = 'soon'", "health.grace", "expected a duration"),
        ("[telemetry]\ninterval = 0", "telemetry.interval", "at least 0.05 s"),
        ("[telemetry]\nfiles = 0", "telemetry.files", ">= 1"),
        ("[telemetry]\nlisten = '9464'", "telemetry.listen", "an address and a port"),
        ("[telemetry]\nlisten = 'localhost:0'", "telemetry.listen", "from 1 to 65535"),
        ("[telemetry]\nlisten = 'web:9464'", "telemetry.listen", "an IP address"),
        ("[telemetry]\nlisten = '0.0.0.0:9464'", "telemetry.listen", "in the clear"),
        ("[telemetry]\nlisten = '[::]:9464'", "telemetry.listen", "in the clear"),
        ("[logging]\nlevel = 'loud'", "logging.level", "one of debug, info, warning, error"),
        ("daemon = 3", "daemon", "a table"),
        ("providers = 3", "providers", "a list"),
        ("[[providers]]\nname = 'a'", "providers[0].type", "is missing"),
        ("[[providers]]\nname = 'A b'\ntype = 'local'", "providers[0].name", "text"),
        (
            "[[providers]]\nname='a'\ntype='local'\n[[providers]]\nname='a'\ntype='local'",
            "providers[1].name",
            "is the name of providers[0] already",
        ),
        (
            "[[providers]]\nname='a'\ntype='local'\n[[providers]]\nname='b'\ntype='x'\noptions=3",
            "providers[1].options",
            "a table",
        ),
        (
            "[[providers]]\nname='a'\ntype='local'\nprioritty=3",
            "providers[0].prioritty",
            "unknown key",
        ),
        ("[placement]\nstrategy = 'balance'", "placement.strategy", "no strategy 'balance'"),
        ("[placement]\nstrategy = 'zzz'", "placement.strategy", "no strategy 'zzz'"),
        (
            "[[providers]]\nname='a'\ntype='local'\npriority=nan",
            "providers[0].priority",
            "a finite number",
        ),
        (
            "[[providers]]\nname='a'\ntype='local'\ncost_per_hour=inf",
            "providers[0].cost_per_hour",
            "a finite number",
        ),
        (
            "[[providers]]\nname='a'\ntype='local'\ncost_per_hour=-1",
            "providers[0].cost_per_hour",
            "0",
        ),
    ],
)
def test_wrong_keys_are_named_with_what_was_expected(text: str, field: str, expected: str) -> None:
    error = failure(text)
    assert error.field == field
    assert error.message.startswith(f"/etc/x.toml: {field}: ")
    assert expected in error.message
    assert error.next_step
    assert error.details["file"] == "/etc/x.toml"
    assert error.type == "validation_error"


def test_the_nearest_known_key_is_offered() -> None:
    assert failure("[instances]\nstart_timout = 3").next_step == (
        "Did you mean instances.start_timeout?"
    )
    assert failure("[loging]\n").next_step == "Did you mean logging?"
    assert (failure("[logging]\nzzz = 1").next_step or "").startswith("Known: level, format")


def test_every_error_is_listed_and_the_first_is_told() -> None:
    error = failure("[logging]\nlevel = 'x'\nfoo = 1\n[daemon]\ninsecure = 3\n")
    problems = error.details["problems"]
    assert [problem["field"] for problem in problems] == [
        "daemon.insecure",
        "logging.foo",
        "logging.level",
    ]
    assert error.message.endswith("(and 2 more)")


def test_a_syntax_error_has_line_and_column() -> None:
    error = failure("[daemon]\nsocket = nowhere\n")
    assert (error.details["line"], error.details["column"]) == (2, 10)
    assert error.message.startswith("/etc/x.toml:2:10: this is not TOML")
    assert error.field is None


def test_a_file_that_ends_too_early_is_a_syntax_error() -> None:
    error = failure("[daemon]\nsocket = ")
    assert "not TOML" in error.message
    assert "line" not in error.details


def test_values_become_their_types() -> None:
    config = parse(
        '[instances]\nstart_timeout = "1h30m"\nstop_grace = 2.5\n[journal]\nmax_size = "1g"'
    )
    assert config.instances.start_timeout == Duration(5400)
    assert config.instances.stop_grace == Duration(2.5)
    assert config.journal.max_size == Size(1 << 30)
    assert parse("") == Config()


# --- which file ------------------------------------------------------------------------------


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_option_wins_over_the_variable_and_the_variable_over_the_users_file(
    tmp_path: Path,
) -> None:
    option, variable = write(tmp_path / "a.toml"), write(tmp_path / "b.toml")
    usual = write(tmp_path / "swarmd/config.toml")
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    with_variable = env | {"SWARMD_CONFIG": str(variable)}
    assert find_file(option, with_variable, uid=1000) == option
    assert find_file(None, with_variable, uid=1000) == variable
    assert find_file(None, env, uid=1000) == usual


def test_without_a_file_the_defaults_are_the_configuration(tmp_path: Path) -> None:
    loaded = load(None, {"HOME": str(tmp_path)}, uid=1000)
    assert loaded.config == Config()
    assert loaded.file is None
    assert loaded.places.config_file is None


def test_below_home_without_xdg(tmp_path: Path) -> None:
    usual = write(tmp_path / ".config/swarmd/config.toml")
    assert find_file(None, {"HOME": str(tmp_path)}, uid=1000) == usual


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_named_file_must_exist(tmp_path: Path, by_variable: bool) -> None:
    missing = tmp_path / "none.toml"
    env = {"SWARMD_CONFIG": str(missing)} if by_variable else {}
    with pytest.raises(ConfigError, match="no configuration file") as caught:
        load(None if by_variable else missing, env, uid=1000)
    assert caught.value.details["file"] == str(missing)
    assert "config init" in (caught.value.next_step or "")


def test_a_relative_file_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "c.toml")
    monkeypatch.chdir(tmp_path)
    assert find_file(Path("c.toml"), {}, uid=0) == tmp_path / "c.toml"


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {}, uid=0)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(latin, {}, uid=0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_told(tmp_path: Path) -> None:
    closed = write(tmp_path / "closed.toml")
    closed.chmod(0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load(closed, {}, uid=1000)


# --- provider options ------------------------------------------------------------------------

TWO = """
[[providers]]
name = 'a'
type = 'x'
[[providers]]
name = 'b'
type = 'y'
[providers.options]
k = 1
"""


def test_each_providers_options_are_checked(tmp_path: Path) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    load(
        write(tmp_path / "c.toml", TWO),
        {},
        uid=0,
        check_options=lambda kind, options: seen.append((kind, options)),
    )
    assert seen == [("x", {}), ("y", {"k": 1})]


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("ports.first", "providers[1].options.ports.first"),
        ("[0]", "providers[1].options[0]"),
        (None, "providers[1].options"),
        ("type", "providers[1].type"),
    ],
)
def test_wrong_options_are_named_by_their_path(
    tmp_path: Path, field: str | None, shown: str
) -> None:
    def check(kind: str, options: dict[str, Any]) -> None:
        if kind == "y":
            raise ValidationError("no good", field=field, next_step="Do better.")

    with pytest.raises(ConfigError, match=re.escape(f"{shown}: no good")) as caught:
        load(write(tmp_path / "c.toml", TWO), {}, uid=0, check_options=check)
    assert caught.value.field == shown
    assert caught.value.next_step == "Do better."


@pytest.mark.parametrize(
    ("name", "hint"),
    [("balance", "Did you mean balanced?"), ("zzz", "Write one of balanced, least_instances")],
)
def test_a_strategy_that_does_not_exist(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[placement]\nstrategy = {name!r}")
    assert hint in str(caught.value.next_step)


def test_the_shortest_times_of_health_are_taken() -> None:
    text = "[health]\ncheck_interval = '50ms'\ntimeout = '1ms'\nrecovery_actions = []"
    found = parse(text, file=None).health
    assert (found.check_interval, found.timeout, found.recovery_actions) == (0.05, 0.001, ())


def test_figures_may_be_shown_to_other_hosts_by_who_says_that_it_is_insecure() -> None:
    listen = "[telemetry]\nlisten = '0.0.0.0:9464'"
    assert "daemon.insecure" in str(failure(listen).next_step)
    assert parse(f"[daemon]\ninsecure = true\n{listen}").telemetry.listen == "0.0.0.0:9464"
    assert parse("[telemetry]\nlisten = 'localhost:9464'").telemetry.listen == "localhost:9464"
