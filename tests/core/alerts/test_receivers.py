"""Where alerts may be sent, and how secrets are named."""

from __future__ import annotations

import pytest

from swarmd.core.alerts.receivers import is_clear, shown, source_of, why_not


@pytest.mark.parametrize(
    ("url", "insecure", "told"),
    [
        ("https://alerts.example.org/x", False, None),
        ("http://127.0.0.1:9000/x", False, None),
        ("http://[::1]:9000/x", False, None),
        ("http://localhost/x", False, None),
        ("http://alerts.example.org/x", True, None),
        ("http://alerts.example.org/x", False, "in the clear"),
        ("http://localhost.example.org/x", False, "in the clear"),
        ("https://ana:pw@alerts.example.org/x", True, "a login"),
        ("ftp://alerts.example.org/x", True, "no URL"),
        ("alerts.example.org", True, "no URL"),
        ("https://", True, "no URL"),
        ("https://a:b/x", True, "no URL"),
        ("", True, "no URL"),
    ],
)
def test_urls(url: str, insecure: bool, told: str | None) -> None:
    found = why_not(url, insecure=insecure)
    assert found is None if told is None else told in (found or "")


def test_what_is_shown_of_a_url_is_its_host() -> None:
    assert shown("https://hooks.example.org:8443/T0/s3cret?x=1") == "https://hooks.example.org:8443"
    assert is_clear("http://alerts.example.org/x")
    assert not is_clear("http://127.0.0.1/x")
    assert not is_clear("https://alerts.example.org/x")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("file:/run/token", ("file", "/run/token")),
        ("env:OPS_TOKEN", ("env", "OPS_TOKEN")),
        ("credential:ops.token", ("credential", "ops.token")),
        ("file:token", None),
        ("env:", None),
        ("credential:../x", None),
        ("t0ken", None),
    ],
)
def test_sources(text: str, source: tuple[str, str] | None) -> None:
    assert source_of(text) == source
