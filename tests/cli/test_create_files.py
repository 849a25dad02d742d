"""What a file given to create may look like."""

import io
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from swarmd.cli.commands.create import check, merge, numbered, read_file


def read(tmp_path: Path, text: str, name: str = "f.toml") -> list[dict[str, Any]]:
    file = tmp_path / name
    file.write_text(text)
    return read_file(str(file))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('name = "a"', ["a"]),
        ('[[instances]]\nname = "a"\n[[instances]]\nname = "b"', ["a", "b"]),
        ('{"name": "a"}', ["a"]),
        ('[{"name": "a"}, {"name": "b"}]', ["a", "b"]),
        ('{"instances": [{"name": "a"}]}', ["a"]),
        ('owner = "ana"\n[config]\nname = "a"', ["a"]),
    ],
)
def test_one_a_list_or_a_table(tmp_path: Path, text: str, names: list[str]) -> None:
    assert [item["config"]["name"] for item in read(tmp_path, text)] == names


def test_a_whole_request_keeps_its_other_fields(tmp_path: Path) -> None:
    (item,) = read(tmp_path, 'owner = "ana"\nstart = false\n[config]\nname = "a"')
    assert item == {"owner": "ana", "start": False, "config": {"name": "a"}}


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('name = "a"'))
    assert read_file("-") == [{"config": {"name": "a"}}]


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("{", "f.json", "is not JSON"),
        ("[1", "f.json", "is not JSON"),
        ("[1", "f.toml", "neither TOML nor JSON"),
        ("name = ", "f.toml", "neither TOML nor JSON"),
        ("[3]", "f.json", "expected a table for each instance"),
        ("[]", "f.json", "describes no instance"),
        ("", "f.toml", "describes no instance"),
        ('instances = []\nname = "x"', "f.toml", "unknown key 'name'"),
    ],
)
def test_what_is_no_description(tmp_path: Path, text: str, name: str, told: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        read(tmp_path, text, name)
    assert told in caught.value.message


def test_a_missing_file() -> None:
    with pytest.raises(click.UsageError, match="Cannot read /no/such: No such file"):
        read_file("/no/such")


def test_flags_win_over_the_file() -> None:
    below = {"config": {"name": "a", "labels": {"x": "1"}}, "start": True}
    above = {"config": {"labels": {"y": "2"}, "protect": True}, "start": False}
    assert merge(below, above) == {
        "config": {"name": "a", "labels": {"x": "1", "y": "2"}, "protect": True},
        "start": False,
    }


@pytest.mark.parametrize(("name", "made"), [("web", "web-7"), ("w{n}x", "w7x"), ("", "")])
def test_numbers_go_into_names(name: str, made: str) -> None:
    one = numbered({"config": {"name": name}, "idempotency_key": "k"}, 7)
    assert one["config"]["name"] == made
    assert one["idempotency_key"] == "k-7"


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "Which name?"),
        ({"config": {"nmae": "a"}}, "Which name?"),
        ({"config": {"name": "a", "memroy": 1}}, "config.memroy: unknown key."),
        ({"config": {"name": "a", "resources": {"memroy": 1}}}, "Did you mean config.resources.m"),
        ({"config": {"name": "a", "resources": {"memory": "12x"}}}, "expected a size"),
        ({"config": {"name": "a", "protect": 3, "labels": 3}}, "And 1 more."),
    ],
)
def test_wrong_keys_are_found_before_anything_is_sent(params: dict[str, Any], told: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        check(params)
    assert told in caught.value.message
