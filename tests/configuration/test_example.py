"""The example file and the code agree."""

import re
from pathlib import Path

import msgspec
import pytest

from swarmd.configuration import load_factory, parse, provider_types, render_example, render_options
from swarmd.configuration.example import comment_of
from swarmd.configuration.reload import all_keys
from swarmd.messages import codec
from swarmd.messages.config import Config, ProviderConfig
from swarmd.messages.units import Duration, Size

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def activated(text: str) -> str:
    """Take the ``#`` away from every key; prose keeps its ``# ``."""
    return re.sub(r"^#(?=[\w\[])", "", text, flags=re.MULTILINE)


def test_the_example_as_it_stands_changes_nothing() -> None:
    assert parse(EXAMPLE.read_text(), EXAMPLE) == Config()


def test_the_example_with_every_key_activated_is_the_default() -> None:
    config = parse(activated(render_example()))
    assert config == Config()


def test_every_key_stands_in_the_example_with_its_description() -> None:
    text = " ".join(EXAMPLE.read_text().replace("\n# ", " ").split())
    sections = {field.name: field.type for field in msgspec.structs.fields(Config)}
    for section, key in all_keys():
        field = next(f for f in msgspec.structs.fields(sections[section]) if f.name == key)
        assert f"#{key} = " in text
        assert comment_of(field.type)
        assert comment_of(field.type) in text
    for provider_field in msgspec.structs.fields(ProviderConfig):
        assert comment_of(provider_field.type)
        if provider_field.name != "options":
            name = provider_field.name
            assert f"#{name} = " in text or f" {name}: not set" in text


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What this type takes.

    Not shown.
    """

    root: str
    ports: tuple[int, int] = (8000, 8999)
    grace: Duration = Duration(3600)
    limit: Size | None = None
    env: dict[str, str] = {}
    extra: list[str] = msgspec.field(default_factory=lambda: ["a"])
    marks: dict[str, str] = msgspec.field(default_factory=lambda: {"a b": "c"})


def test_options_of_a_type_become_a_section() -> None:
    text = render_example({"thing": Options})
    assert "#[providers.options]\n" in text
    assert "# What this type takes.\n" in text
    assert "Not shown" not in text
    config = parse(activated(text))
    assert config.providers[0].type == "thing"
    assert config.providers[0].options == {
        "root": "",
        "ports": [8000, 8999],
        "grace": "1h",
        "env": {},
        "extra": ["a"],
        "marks": {"a b": "c"},
    }


def test_a_key_without_a_default_stays_a_comment() -> None:
    assert "# limit: not set\n" in render_options(Options)


@pytest.mark.parametrize(
    ("value", "text"),
    [(604800, "7d"), (86400, "24h"), (90000, "25h"), (5400, "5400s"), (60, "60s")],
)
def test_durations_read_well(value: int, text: str) -> None:
    class One(msgspec.Struct, frozen=True, kw_only=True):
        it: Duration = Duration(value)

    assert render_options(One) == f'#it = "{text}"\n'


def test_every_provider_is_described_as_it_is() -> None:
    factories = {name: load_factory(name) for name in provider_types()}
    text = EXAMPLE.read_text()
    assert text == render_example({name: made.options_type() for name, made in factories.items()})
    providers = parse(activated(text)).providers
    assert {provider.type for provider in providers} == set(factories)
    for provider in providers:
        kind = factories[provider.type].options_type()
        for field in msgspec.structs.fields(kind):
            assert f"#{field.name} = " in text or f"# {field.name}: not set" in text
            assert comment_of(field.type)
        factories[provider.type].check_options(provider.options)
        assert codec.convert(provider.options, kind) == kind()
