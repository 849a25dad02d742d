"""Everything that needs no daemon."""

import tarfile
import tomllib
from pathlib import Path

import pytest

from swarmd import __version__
from swarmd.cli.commands.providers import providers
from swarmd.cli.root import TABLE, root
from swarmd.configuration import parse
from swarmd.messages.config import Config
from tests.cli.driver import clean_env, ctl, process

COMMANDS = [name for part in TABLE.values() for name in part]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SWARMD_CONFIG", "SWARMD_STATE_DIR", "SWARMD_SOCKET", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_command_by_section(words: list[str]) -> None:
    ran = ctl(*words)
    assert ran.code == 0
    for section, part in TABLE.items():
        assert f"{section}:" in ran.out
        for name in part:
            assert f"\n  {name} " in ran.out
    assert "Exit codes" in ran.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    ran = ctl(name, "--help")
    assert ran.code == 0, ran.err
    assert "Usage: swarmctl" in ran.out
    assert "--socket" not in ran.out


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (group, name)
        for group in ("ops", "providers", "config", "doctor", "setup")
        for name in getattr(root.get_command(None, group), "places", {})  # type: ignore[arg-type]
    ],
)
def test_every_command_of_a_group_has_help(group: str, name: str) -> None:
    ran = ctl(group, name, "--help")
    assert ran.code == 0
    assert f"Usage: swarmctl {group} {name}" in ran.out


def test_a_typo_is_answered_with_the_nearest_command() -> None:
    ran = ctl("strat", "web")
    assert ran.code == 2
    assert "There is no command 'strat'. Did you mean stats or start?" in ran.err
    assert not ran.out
    assert "Known: create, ls" in ctl("xyzzy").err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("ps",), "Use ls."),
        (("delete", "web"), "Use rm."),
        (("describe", "web"), "Use get."),
        (("providers", "uncordon", "box1"), "Use enable."),
        (("providers", "enabel", "box1"), "Did you mean enable"),
        (("ops", "cancle", "01m8"), "Did you mean cancel"),
    ],
)
def test_words_of_other_tools_and_typos(home: Path, words: tuple[str, ...], hint: str) -> None:
    ran = ctl(*words)
    assert ran.code == 2
    assert hint in ran.err


def test_every_word_of_other_tools_means_a_command() -> None:
    for group in (root, providers):
        for word, meant in group.elsewhere.items():
            assert word not in group.places
            assert meant.split(",")[0] in group.places


def test_the_version_needs_no_daemon(home: Path) -> None:
    assert ctl("--version").out == f"swarmctl {__version__}\n"


def test_the_list_of_commands_is_not_cut() -> None:
    assert "..." not in ctl("--help").out.replace("ARGS]...", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["create"], "Which name?"),
        (["create", "w", "--memory", "12x"], "expected a size"),
        (["create", "w", "--cpu", "0"], "not in the range"),
        (["start"], "Which instances?"),
        (["stop", "a", "--all"], "not both"),
        (["update", "a"], "Nothing to change"),
        (["update", "a", "--unset", "protect.x", "--protect"], "is set by another flag"),
        (["ls", "-o", "yaml"], "'yaml' is not one of"),
        (["ls", "--status", "flying"], "'flying' is not one of"),
        (["--timeout", "soon", "ls"], "expected a duration"),
        (["get"], "Missing argument 'NAME'"),
        (["exec", "web"], "Missing argument 'COMMAND...'"),
        (["call", "instance.get", "web"], "Expected JSON, - or KEY=VALUE"),
        (["call", "instance.get", "{"], "Expected a JSON object"),
        (["call", "instance.get", "a=1", "a.b=2"], "a is no table"),
        (["providers", "update", "local"], "Nothing to change"),
        (["import", "/no/such.tar", "x"], "Cannot read /no/such.tar"),
    ],
)
def test_wrong_usage_exits_2_before_anything_is_asked(words: list[str], told: str) -> None:
    ran = ctl(*words)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert told in ran.err
    assert "--help" in ran.err
    assert not ran.out


def test_wrong_usage_as_an_envelope() -> None:
    ran = ctl("-o", "json", "create", "w", "--memory", "12x")
    assert ran.code == 2
    assert ran.json["success"] is False
    assert ran.json["error"]["type"] == "validation_error"
    assert "expected a size" in ran.json["error"]["message"]


def test_a_group_alone_shows_its_help_and_no_error() -> None:
    plain, as_json = ctl("setup"), ctl("-o", "json", "setup")
    assert (as_json.code, as_json.out) == (plain.code, plain.out)
    assert plain.code == 0
    assert "Usage: swarmctl setup" in plain.out
    assert "success" not in as_json.out


# --- config ----------------------------------------------------------------------------------


def test_config_init_check_show(home: Path) -> None:
    file = home / "new" / "config.toml"
    assert ctl("config", "init", file).out == f"{file}\n"
    assert parse(file.read_text()) == Config()
    assert "is right" in ctl("config", "check", "-c", file).out
    assert ctl("config", "check", file).out == ctl("config", "check", "-c", file).out
    assert "give one of them" in ctl("config", "check", file, "-c", file).err
    assert "is empty" in ctl("config", "show", "").err
    again = ctl("config", "init", file)
    assert again.code == 1
    assert "exists" in again.err
    assert "--force" in again.err
    assert ctl("config", "init", file, "--force").code == 0


def test_config_init_writes_where_the_file_is_looked_for(home: Path) -> None:
    file = home / "mine.toml"
    env = {"SWARMD_CONFIG": str(file)}
    missing = ctl("config", "check", env=env)
    assert "$SWARMD_CONFIG names it" in missing.err
    assert ctl("config", "init", env=env).out == f"{file}\n"
    assert ctl("config", "check", env=env).code == 0


def test_config_check_notes_a_default_provider_that_is_not_there(home: Path) -> None:
    file = home / "c.toml"
    file.write_text('[daemon]\ndefault_provider = "lcl"\n')
    ran = ctl("config", "check", "-c", file)
    assert ran.code == 0
    assert "daemon.default_provider" in ran.err
    assert "'lcl'" in ran.err
    file.write_text('[daemon]\ndefault_provider = ""\n')
    assert ctl("config", "check", "-c", file).err == ""


def test_config_init_writes_to_standard_output(home: Path) -> None:
    ran = ctl("config", "init", "-")
    assert ran.out == (Path(__file__).parents[2] / "config.example.toml").read_text()


def test_config_init_where_nothing_can_be_written(home: Path) -> None:
    ran = ctl("config", "init", "/proc/nothing/config.toml")
    assert ran.code == 1
    assert "cannot write" in ran.err


def test_config_show_is_toml_that_says_the_same(home: Path) -> None:
    ran = ctl("config", "show")
    assert parse(ran.out) == Config()
    assert "# state: " in ran.err
    assert tomllib.loads(ctl("-q", "config").out)["logging"]["level"] == "info"
    data = ctl("config", "show", "-o", "json").data
    assert data["config"]["instances"]["start_timeout"] == "60s"
    assert data["places"]["socket"].endswith("swarmd.sock")


def test_config_check_tells_every_problem(home: Path) -> None:
    file = home / "c.toml"
    file.write_text("[logging]\nlevel = 'x'\nfoo = 1\n[[providers]]\nname='a'\n")
    ran = ctl("config", "check", "--config", file)
    assert ran.code == 1
    assert f"error: {file}: logging.foo: unknown key (and 2 more)" in ran.err
    assert "→ Known: level, format." in ran.err
    assert "also: logging.level: expected one of" in ran.err
    assert "also: providers[0].type: is missing" in ran.err
    assert ctl("config", "show", "--config", file).err == ran.err
    error = ctl("config", "check", "--config", file, "-o", "json").json["error"]
    assert error["type"] == "validation_error"
    assert error["details"]["file"] == str(file)
    assert len(error["details"]["problems"]) == 3


def test_config_check_without_a_file(home: Path) -> None:
    env = {"SWARMD_CONFIG": ""}
    assert ctl("config", "check", env=env).code == 0
    assert "file" in ctl("config", "check", "-o", "json", env=env).data


# --- completion and setup --------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    assert "_SWARMCTL_COMPLETE" in ctl("completion", shell).out


def test_completion_answers_a_shell(tmp_path: Path) -> None:
    env = clean_env(
        tmp_path,
        _SWARMCTL_COMPLETE="bash_complete",
        COMP_WORDS="swarmctl prov",
        COMP_CWORD="1",
    )
    assert process(env=env).out == "plain,providers\n"


def test_setup_says_whether_code_server_is_installed(tmp_path: Path) -> None:
    ran = ctl("setup", "code-server", "--check", "--directory", tmp_path)
    assert ran.code == 1
    assert "not installed" in ran.err
    assert "swarmctl setup code-server" in ran.err


@pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="Python 3.11.4 and later unpack archives safely"
)
def test_setup_refuses_an_archive_that_is_not_there(tmp_path: Path) -> None:
    ran = ctl("setup", "code-server", "--archive", tmp_path / "x.tgz", "--directory", tmp_path)
    assert ran.code in (1, 2)
    assert "x.tgz" in ran.err
