"""What an image may say of itself, and who is shown our login."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swarmd.errors import ValidationError
from swarmd.providers.docker.images import Images
from swarmd.providers.docker.marks import JOB
from swarmd.providers.docker.options import DockerOptions
from tests.providers.docker.test_container import plan
from tests.providers.local.kit import call

CODER = "root:x:0:0:root:/root:/bin/sh\ncoder:x:1000:1000::/home/coder:/bin/sh\n"


class FakeEngine:
    """An engine with one image; a pull is noted."""

    def __init__(self, **config: Any) -> None:
        self.config = {"User": "coder"} | config
        self.logins: list[object] = []

    def image(self, ref: str, within: float) -> dict[str, Any]:
        return {"Id": f"sha256:{ref}", "Config": self.config}

    def pull(self, ref: str, login: object, call: object) -> None:
        self.logins.append(login)


def images(engine: FakeEngine, passwd: str = CODER, **options: Any) -> Images:
    context: Any = SimpleNamespace(engine=engine, options=DockerOptions(**options), name="box")
    found = Images(context)
    found._passwd_of = lambda image_id, call: passwd  # type: ignore[method-assign]
    return found


def test_an_image_says_whom_it_runs_as() -> None:
    image = images(FakeEngine()).get("some/image", call())
    assert (image.user, image.account, image.gid, image.home) == (
        "coder",
        "1000",
        1000,
        "/home/coder",
    )


@pytest.mark.parametrize(
    ("user", "passwd"),
    [
        ("1000", "coder:x:0:0::/home/coder:/bin/sh\n" + CODER.splitlines()[1]),
        ("coder", "  coder:x:0:0::/home/coder:/bin/sh\n" + CODER),
        ("1000", "1000:x:0:0::/root:/bin/sh\n" + CODER),
    ],
)
def test_an_image_cannot_pass_root_off_as_another(user: str, passwd: str) -> None:
    image = images(FakeEngine(User=user), passwd, allow_root=True).get("some/image", call())
    assert image.account == str(image.uid), "by number, whatever its name is given"
    if image.uid == 0:
        with pytest.raises(ValidationError, match="root"):
            images(FakeEngine(User=user), passwd).get("some/image", call())


@pytest.mark.parametrize(
    ("config", "passwd", "said"),
    [
        ({"User": "root"}, CODER, "root"),
        ({"User": "nobody"}, CODER, "no user"),
        ({}, "coder:x::::/home/coder:/bin/sh", "no number"),
        ({"Labels": {JOB: "x"}}, CODER, JOB),
        ({"Labels": {"dev.swarmd.contract.home": "/etc"}}, CODER, "home"),
        ({"Labels": {"dev.swarmd.contract.home": "/"}}, CODER, "home"),
        ({"Labels": {"dev.swarmd.contract.command": "'"}}, CODER, "command"),
        ({"Volumes": {"/home/coder/project": {}}}, CODER, "/home/coder/project"),
    ],
)
def test_an_image_that_would_not_do(config: dict[str, Any], passwd: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        images(FakeEngine(**config), passwd).get("some/image", call())
    assert caught.value.field == "config.image"
    assert caught.value.next_step


def test_a_volume_on_the_home_itself_is_ours() -> None:
    assert images(FakeEngine(Volumes={"/home/coder": {}})).get("some/image", call()).uid == 1000


@pytest.mark.parametrize(
    ("ref", "options", "shown"),
    [
        ("registry.example.org/team/code:1", {"image": "registry.example.org/a/b"}, True),
        ("evil.example.org/team/code:1", {"image": "registry.example.org/a/b"}, False),
        ("evil.example.org/team/code:1", {}, False),
        ("docker.io/codercom/code-server", {}, True),
        ("box:5000/code", {"registry": "box:5000"}, True),
        ("codercom/code-server", {"registry": "box:5000"}, False),
    ],
)
def test_our_login_is_for_one_registry(
    tmp_path: Path, ref: str, options: dict[str, Any], shown: bool
) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    login = {"registry_user": "ana", "registry_password": f"file:{file}", "pull": "always"}
    engine = FakeEngine()
    images(engine, **login, **options).get(ref, call(), fresh=True)
    (used,) = engine.logins
    assert (used is not None) is shown


def test_a_container_is_told_a_number() -> None:
    assert plan().body()["User"] == "1000"
