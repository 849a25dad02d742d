"""A docker provider's table: what is wrong in it is named, with the way out."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.errors import ConfigError
from swarmd.providers.docker import factory
from swarmd.providers.docker.options import read_options


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"engin": "unix:///x"}, "engin"),
        ({"engine": "http://box1"}, "engine"),
        ({"engine": "unix://var/run"}, "engine"),
        ({"engine": "tcp://box1"}, "engine"),
        ({"engine": "tcp://box1:2375"}, "engine"),
        ({"engine": "ssh://-oProxyCommand=x"}, "engine"),
        ({"engine": "ssh://a:b@box1"}, "engine"),
        ({"engine": "tcp://box1:2376", "engine_cert": "/c"}, "engine_cert"),
        ({"ssh_options": ["-v"]}, "engine"),
        ({"port_range": "9-1"}, "port_range"),
        ({"port_range": "1-70000"}, "port_range"),
        ({"tls_cert": "/c"}, "tls_key"),
        ({"publish_address": "box1"}, "publish_address"),
        ({"roots": ["relative"]}, "roots"),
        ({"command": []}, "command"),
        ({"home": "coder"}, "home"),
        ({"network": "no way"}, "network"),
        ({"registry_user": "u"}, "registry_password"),
        ({"registry_user": "u", "registry_password": "hunter2"}, "registry_password"),
        ({"pull": "sometimes"}, "pull"),
        ({"memory": "12x"}, "memory"),
        ({"cpu": 0}, "cpu"),
        ({"pids": 1}, "pids"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        factory.check_options(options)
    assert (caught.value.field or "").startswith(field)
    assert caught.value.next_step
    assert "hunter2" not in str(caught.value), "no secret in an error"


@pytest.mark.parametrize(
    ("engine", "host", "login"),
    [
        ("unix:///var/run/docker.sock", None, None),
        ("ssh://ana@box1:2222", "box1", "ssh://ana@box1:2222"),
        ("ssh://ana@box1", "box1", "ana@box1"),
        ("ssh://box1", "box1", "box1"),
        ("ssh://[fd00::1]:2222", "fd00::1", "ssh://[fd00::1]:2222"),
        ("tcp://127.0.0.1:2375", None, None),
    ],
)
def test_where_an_engine_is(engine: str, host: str | None, login: str | None) -> None:
    options = read_options({"engine": engine})
    assert (options.engine_host, options.engine_login) == (host, login)


def test_plain_tcp_beyond_loopback_takes_a_word() -> None:
    options = read_options({"engine": "tcp://box1:2375", "engine_insecure": True})
    assert options.engine_host == "box1"
    assert read_options({"engine": "tcp://127.0.0.1:2375"}).engine_host is None
