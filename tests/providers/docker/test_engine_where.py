"""Where an engine is: what is read from its URL, and what is refused."""

from __future__ import annotations

import pytest

from swarmd.errors import ConfigError
from swarmd.providers.docker.engine import Engine, Where, check_where
from swarmd.providers.docker.where import Target, is_loopback


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("unix:///var/run/docker.sock", Target("unix", path="/var/run/docker.sock")),
        ("unix:///a%20b/d.sock", Target("unix", path="/a b/d.sock")),
        ("tcp://127.0.0.1:2375", Target("tcp", host="127.0.0.1", port=2375)),
        ("tcp://[::1]:2375", Target("tcp", host="::1", port=2375)),
        ("tcp://localhost:2375/", Target("tcp", host="localhost", port=2375)),
        ("ssh://box1", Target("ssh", host="box1", path="/var/run/docker.sock")),
        (
            "ssh://ana@box1:2222/run/user/1000/docker.sock",
            Target("ssh", "/run/user/1000/docker.sock", "box1", 2222, "ana"),
        ),
    ],
)
def test_a_url_is_read(url: str, target: Target) -> None:
    assert check_where(Where(url)) == target


@pytest.mark.parametrize(
    "where",
    [
        Where(""),
        Where("/var/run/docker.sock"),
        Where("http://127.0.0.1:2375"),
        Where("unix://relative/path"),
        Where("unix:///"),
        Where("unix:///" + "x" * 120),
        Where("tcp://127.0.0.1"),
        Where("tcp://127.0.0.1:x"),
        Where("tcp://:2375"),
        Where("tcp://me@127.0.0.1:2375"),
        Where("tcp://127.0.0.1:2375/v1.41"),
        Where("tcp://127.0.0.1:2375?x=1"),
        Where("ssh://"),
        Where("ssh://-oProxyCommand=x"),
        Where("ssh://-l@box1"),
        Where("ssh://ana:secret@box1"),
        Where("ssh://[box1"),
        Where("unix:///d.sock", ca="/ca.pem"),
        Where("ssh://box1", cert="/c.pem", key="/k.pem"),
        Where("tcp://box1:2376", ssh_options=("-v",)),
        Where("tcp://box1:2375"),
        Where("tcp://10.0.0.1:2375"),
        Where("tcp://127.0.0.1.example.org:2375"),
    ],
)
def test_what_cannot_or_must_not_be_connected_to_is_refused(where: Where) -> None:
    with pytest.raises(ConfigError) as refused:
        Engine("box", where)
    assert refused.value.field == "engine"
    assert refused.value.next_step
    assert "secret" not in str(refused.value)


def test_a_certificate_needs_its_key() -> None:
    with pytest.raises(ConfigError) as refused:
        check_where(Where("tcp://box1:2376", ca="/ca.pem", cert="/c.pem"))
    assert refused.value.field == "engine_cert"


@pytest.mark.parametrize(
    "where",
    [
        Where("tcp://box1:2375", insecure=True),
        Where("tcp://box1:2376", ca="/ca.pem"),
        Where("tcp://box1:2376", cert="/c.pem", key="/k.pem"),
    ],
)
def test_the_network_is_allowed_encrypted_or_where_it_was_said(where: Where) -> None:
    assert check_where(where).host == "box1"


def test_loopback_is_known_without_a_lookup() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("box1", "10.0.0.1", "0.0.0.0", "localhost.example.org")))
