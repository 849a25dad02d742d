"""What an instance's processes are given, and what they must not see."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from swarmd.errors import ProviderError
from swarmd.messages.enums import AuthType
from swarmd.messages.instance import Auth
from swarmd.messages.secret import Secret
from swarmd.providers.local.provider import LocalProvider
from swarmd.providers.shared import codeserver
from tests.providers.local.conftest import Make
from tests.providers.local.kit import PASSWORD, call, make_instance, running


def environ_of(instance_id: str) -> dict[str, str]:
    """The environment of an instance's main process."""
    raw = Path(f"/proc/{running(instance_id)[0]}/environ").read_bytes().decode()
    return dict(entry.split("=", 1) for entry in raw.split("\0") if entry)


def test_the_environment_is_an_allow_list(
    make: Make, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VSCODE_IPC_HOOK_CLI", "PASSWORD", "HASHED_PASSWORD", "SWARMD_X", "AWS_SECRET"):
        monkeypatch.setenv(name, "leak")
    monkeypatch.setenv("WANTED", "yes")
    monkeypatch.setenv("LC_TIME", "C")
    provider = make(env_allow=["WANTED", "VSCODE_IPC_HOOK_CLI"])
    instance = make_instance(env={"MINE": "1", "TZ": "UTC", "PASSWORD": "no"})
    provider.create(instance, call())
    provider.start(instance, call())
    found = environ_of(instance.id)
    assert "leak" not in found.values()
    assert "PASSWORD" not in found
    assert (found["WANTED"], found["MINE"], found["TZ"], found["LC_TIME"]) == (
        "yes",
        "1",
        "UTC",
        "C",
    )
    assert found["HOME"] == str(data / instance.id / "home")
    assert found["SWARMD_INSTANCE"] == instance.id


def test_home_may_be_the_users(make: Make) -> None:
    from swarmd.providers.shared.account import own

    provider = make(home="user")
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    assert environ_of(instance.id)["HOME"] == own().home


def test_the_password_stands_in_its_file_alone(provider: LocalProvider, data: Path) -> None:
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    for pid in running(instance.id):
        for part in ("cmdline", "environ"):
            assert PASSWORD.encode() not in Path(f"/proc/{pid}/{part}").read_bytes()
    holders = [
        path
        for path in data.rglob("*")
        if path.is_file() and PASSWORD.encode() in path.read_bytes()
    ]
    assert holders == [data / instance.id / "config.yaml"]
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("auth", "text"),
    [
        (Auth(type=AuthType.NONE), "auth: none\ncert: false\n"),
        (
            Auth(credentials=Secret('a"b: #c')),
            'auth: password\npassword: "a\\"b: #c"\ncert: false\n',
        ),
        (
            Auth(type=AuthType.HASHED_PASSWORD, credentials=Secret("$argon2i$x")),
            'auth: password\nhashed-password: "$argon2i$x"\ncert: false\n',
        ),
    ],
)
def test_the_configuration_file(auth: Auth, text: str) -> None:
    assert codeserver.render_config(auth) == text


def test_a_password_is_needed(provider: LocalProvider) -> None:
    instance = make_instance(auth=Auth())
    provider.create(instance, call())
    with pytest.raises(ProviderError, match="no password") as caught:
        provider.start(instance, call())
    assert caught.value.field == "config.auth.credentials"


def test_a_link_in_place_of_the_file_is_replaced(
    provider: LocalProvider, data: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    instance = make_instance()
    provider.create(instance, call())
    folder = data / instance.id
    (folder / "config.yaml").symlink_to(victim)
    (folder / ".config.yaml.new").symlink_to(victim)
    provider.start(instance, call())
    assert victim.read_text() == "mine"
    assert not (folder / "config.yaml").is_symlink()


def test_a_changed_password_waits_for_a_restart(provider: LocalProvider) -> None:
    from msgspec.structs import replace

    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    new = replace(instance.config, auth=Auth(credentials=Secret("other")))
    outcome = provider.update(replace(instance, config=new), call())
    assert outcome.restart_required == ("auth",)
