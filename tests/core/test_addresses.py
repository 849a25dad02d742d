from __future__ import annotations

import pytest

from swarmd.core.addresses import login_tunnel, provider_tunnel, tunnel_hint, url_for
from swarmd.messages.provider import Address


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (None, None),
        (Address(host="127.0.0.1", port=8080), "http://127.0.0.1:8080/"),
        (Address(host="::1", port=8080), "http://[::1]:8080/"),
        (Address(host="[::1]", port=8080), "http://[::1]:8080/"),
        (Address(host="box1", port=443, tls=True), "https://box1:443/"),
    ],
)
def test_url_for(address: Address | None, url: str | None) -> None:
    assert url_for(address) == url


@pytest.mark.parametrize(
    ("url", "user", "command"),
    [
        ("http://127.0.0.1:8080/", "ana", "ssh -N -L 8080:127.0.0.1:8080 ana@lab"),
        ("http://[::1]:8080/", "ana", "ssh -N -L 8080:[::1]:8080 ana@lab"),
        ("http://localhost/", "", "ssh -N -L 80:localhost:80 lab"),
        ("https://localhost/", "", "ssh -N -L 443:localhost:443 lab"),
    ],
)
def test_tunnel_hint(url: str, user: str, command: str) -> None:
    assert tunnel_hint(url, "lab", user) == command


def test_a_tunnel_to_the_host_of_a_provider() -> None:
    found = provider_tunnel("http://127.0.0.1:2100/", "ssh://ana@box:2222")
    assert found is not None
    assert found.host == "box"
    assert found.command.startswith("ssh -N -L 2100:127.0.0.1:2100 ")
    assert provider_tunnel("http://127.0.0.1:2100/", None) is None
    assert provider_tunnel("https://box/", "ana@box") is None


def test_a_tunnel_from_where_one_logged_in() -> None:
    env = {"SSH_CONNECTION": "10.0.0.9 50000 10.0.0.1 22", "LOGNAME": "ana"}
    found = login_tunnel("http://127.0.0.1:2100/", env, "here")
    assert found == "ssh -N -L 2100:127.0.0.1:2100 ana@10.0.0.1"
    assert login_tunnel("http://127.0.0.1:2100/", {}, "here") is None
    odd = login_tunnel("http://127.0.0.1:2100/", {"SSH_CONNECTION": "x"}, "here")
    assert odd is not None
    assert odd.endswith(" here")
