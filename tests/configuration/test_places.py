"""The table of places (DESIGN 8)."""

from pathlib import Path

import pytest

from swarmd.configuration import load, resolve_places
from swarmd.configuration.places import default_file, home_directory
from swarmd.errors import ConfigError
from swarmd.messages.config import Config, DaemonConfig, Places

HOME = {"HOME": "/home/ana"}


def test_the_places_of_root() -> None:
    assert resolve_places(Config(), {}, uid=0) == Places(
        state="/var/lib/swarmd",
        data="/var/lib/swarmd-instances",
        server="/opt/swarmd",
        socket="/run/swarmd/swarmd.sock",
    )
    assert default_file({}, uid=0) == Path("/etc/swarmd/config.toml")


def test_the_places_of_a_user() -> None:
    env = HOME | {"XDG_RUNTIME_DIR": "/run/user/1000"}
    assert resolve_places(Config(), env, uid=1000) == Places(
        state="/home/ana/.local/state/swarmd",
        data="/home/ana/.local/share/swarmd/instances",
        server="/home/ana/.local/share/swarmd/server",
        socket="/run/user/1000/swarmd/swarmd.sock",
    )


def test_xdg_directories_count_if_absolute() -> None:
    env = HOME | {"XDG_STATE_HOME": "/s", "XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "relative"}
    places = resolve_places(Config(), env, uid=1000)
    assert (places.state, places.data) == ("/s/swarmd", "/d/swarmd/instances")
    assert default_file(env, uid=1000) == Path("/home/ana/.config/swarmd/config.toml")


def test_without_a_runtime_directory_the_socket_is_below_the_state() -> None:
    assert resolve_places(Config(), HOME, uid=1000).socket == (
        "/home/ana/.local/state/swarmd/swarmd.sock"
    )
    moved = resolve_places(Config(), HOME | {"SWARMD_STATE_DIR": "/s"}, uid=1000)
    assert moved.socket == "/s/swarmd.sock"


@pytest.mark.parametrize("uid", [0, 1000])
def test_the_environment_wins_over_the_file_and_the_file_over_the_default(uid: int) -> None:
    config = Config(
        daemon=DaemonConfig(state_dir="/f/s", data_dir="/f/d", server_dir="/f/v", socket="/f/x")
    )
    places = resolve_places(config, HOME, uid=uid, file=Path("/c.toml"))
    assert places == Places(
        state="/f/s", data="/f/d", server="/f/v", socket="/f/x", config_file="/c.toml"
    )
    env = HOME | {
        "SWARMD_STATE_DIR": "/e/s",
        "SWARMD_DATA_DIR": "/e/d",
        "SWARMD_SERVER_DIR": "/e/v",
        "SWARMD_SOCKET": "/e/x",
    }
    assert resolve_places(config, env, uid=uid) == Places(
        state="/e/s", data="/e/d", server="/e/v", socket="/e/x"
    )


def test_the_environments_places_may_be_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = resolve_places(Config(), {"SWARMD_STATE_DIR": "state"}, uid=0)
    assert places.state == str(tmp_path / "state")


def test_a_tilde_in_the_file_is_the_home() -> None:
    config = Config(daemon=DaemonConfig(state_dir="~/swarm"))
    assert resolve_places(config, HOME, uid=1000).state == "/home/ana/swarm"


def test_a_relative_place_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[daemon]\nstate_dir = "here"\n')
    with pytest.raises(ConfigError, match="not an absolute path") as caught:
        load(file, HOME, uid=1000)
    assert caught.value.field == "daemon.state_dir"
    assert caught.value.details["file"] == str(file)


def test_a_socket_that_no_kernel_would_bind_is_refused() -> None:
    longest = "/" + "s" * 106
    assert resolve_places(Config(), {"SWARMD_SOCKET": longest}, uid=0).socket == longest
    with pytest.raises(ConfigError, match="longer than 107 bytes") as caught:
        resolve_places(Config(), {"SWARMD_SOCKET": longest + "s"}, uid=0)
    assert caught.value.field == "daemon.socket"


def test_the_home_of_a_user_without_home() -> None:
    assert home_directory({}, 0) == Path("/root")
    assert home_directory({}, 4_000_000_000) == Path("/")
