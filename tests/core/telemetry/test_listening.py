"""Where figures may be fetched."""

from __future__ import annotations

import pytest

from swarmd.core.telemetry.listening import parse_listen


@pytest.mark.parametrize(
    ("text", "shown", "loopback"),
    [
        ("127.0.0.1:9464", "127.0.0.1:9464", True),
        (" localhost:1 ", "127.0.0.1:1", True),
        ("127.9.9.9:65535", "127.9.9.9:65535", True),
        ("[::1]:9464", "[::1]:9464", True),
        ("0.0.0.0:9464", "0.0.0.0:9464", False),
        ("[::]:9464", "[::]:9464", False),
        ("192.0.2.7:80", "192.0.2.7:80", False),
    ],
)
def test_addresses(text: str, shown: str, loopback: bool) -> None:
    address = parse_listen(text)
    assert (str(address), address.is_loopback) == (shown, loopback)


@pytest.mark.parametrize(
    "text",
    ["9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "::1:9464",
     "[127.0.0.1]:9464", "example.org:80", "127.0.0.1:-1", "127.0.0.1:٣", "[::1:9464", "a b:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_listen(text)
