"""The checkout itself: what it promises to people who clone it."""

from __future__ import annotations

import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent


def test_the_licence_is_apache_2() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    text = (CHECKOUT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
