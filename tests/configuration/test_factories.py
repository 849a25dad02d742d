"""Provider types by entry point."""

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from swarmd.configuration import check_provider_options, load, load_factory, provider_types
from swarmd.errors import ConfigError


def test_the_local_type_is_installed() -> None:
    assert "local" in provider_types()
    assert load_factory("local").type == "local"


def test_an_unknown_type_names_those_there_are(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[[providers]]\nname = 'a'\ntype = 'dokcer'\n")
    with pytest.raises(ConfigError, match="unknown provider type 'dokcer'") as caught:
        load(file, {}, uid=0, check_options=check_provider_options)
    assert caught.value.field == "providers[0].type"
    assert "local" in (caught.value.next_step or "")


def test_wrong_options_of_the_local_type_are_found(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[[providers]]\nname = 'a'\ntype = 'local'\n[providers.options]\nmemry = 1\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {}, uid=0, check_options=check_provider_options)
    assert caught.value.field == "providers[0].options.memry"


def test_a_type_whose_package_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "fancy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fancy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[swarmd.providers]\nfancy = no_such_module:factory\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    points: Any = metadata.entry_points(group="swarmd.providers")
    assert "fancy" in points.names
    with pytest.raises(ConfigError, match="cannot be imported") as caught:
        load_factory("fancy")
    assert caught.value.field == "type"
    assert "no_such_module" in caught.value.details["cause"]
