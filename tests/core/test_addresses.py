from __future__ import annotations

import pytest

from swarmd.core.addresses import tunnel_hint, url_for
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
