from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.explain import Explained, describe, explain, keys_of
from swarmd.errors import ConfigError, ValidationError
from swarmd.messages import codec
from swarmd.messages.config import Config
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.requests import GetInstance, ListInstances
from swarmd.messages.units import Size


def explained(value: Any, kind: Any, prefix: str = "") -> Explained:
    with pytest.raises(msgspec.ValidationError) as caught:
        codec.convert(value, kind)
    return explain(caught.value, kind, prefix=prefix)


@pytest.mark.parametrize(
    ("value", "kind", "field", "message", "suggestion"),
    [
        ({"name": "x", "resources": {"memry": 1}}, InstanceConfig, "resources.memry",
         "unknown key", "Did you mean memory?"),
        ({"name": "x", "qqq": 1}, InstanceConfig, "qqq", "unknown key", "Known keys: auth, env"),
        ({"loging": {}}, Config, "loging", "unknown key", "Did you mean logging?"),
        ({"name": "x", "resources": {"memory": "12x"}}, InstanceConfig, "resources.memory",
         "not '12x'", 'Write a size such as "512m"'),
        ({"name": "x", "resources": {"cpu": "1"}}, InstanceConfig, "resources.cpu",
         "expected a number, not text", "Write a number."),
        ({"name": "x", "resources": {"cpu": 0}}, InstanceConfig, "resources.cpu",
         "expected a number > 0", "> 0"),
        ({}, InstanceConfig, "name", "name is missing", "Give name: text."),
        ({"providers": [{"name": "a"}]}, Config, "providers[0].type", "is missing", "text"),
        ({"name": "x", "env": {"A": 1}}, InstanceConfig, "env[...]",
         "expected text, not a whole number", "Write text."),
        ({"name": "x", "env": {1: "A"}}, InstanceConfig, "env", "key must be text", "quotes"),
        ({"name": "x", "env": []}, InstanceConfig, "env", "expected a table, not a list", "table"),
        ({"name": "x", "extensions": {}}, InstanceConfig, "extensions", "expected a list", "list"),
        ({"name": "x", "network": {"ports": [{"container_port": 1}, {"container_port": 70000}]}},
         InstanceConfig, "network.ports[1].container_port", "<= 65535", "<= 65535"),
        ({"name": "x", "network": {"ports": [{"container_port": 7, "protocol": "tpc"}]}},
         InstanceConfig, "network.ports[0].protocol", "one of: tcp, udp", "Did you mean tcp?"),
        ({"name": "x", "auth": {"credentials": 5}}, InstanceConfig, "auth.credentials",
         "expected text", "Write text."),
        ({"logging": {"level": "loud"}}, Config, "logging.level",
         "one of: debug, info, warning, error", "one of: debug"),
        ({"daemon": {"reconcile_interval": "5 parsecs"}}, Config, "daemon.reconcile_interval",
         "not '5 parsecs'", 'a duration such as "30s"'),
        ({"daemon": 5}, Config, "daemon", "expected a table, not a whole number", "table"),
        ({"status": ["runing"]}, ListInstances, "status[0]", "not 'runing'", "running?"),
        ({"id": None}, GetInstance, "id", "expected text, not nothing", "Write text."),
        ([], Config, "", "expected a table, not a list", "table"),
    ],
)  # fmt: skip
def test_explain(value: Any, kind: Any, field: str, message: str, suggestion: str) -> None:
    found = explained(value, kind)
    assert found.field == field
    assert message in found.message
    assert suggestion in found.suggestion
    assert found.expected


def test_prefix_and_error() -> None:
    found = explained({"name": "x", "resources": {"memry": 1}}, InstanceConfig, "config")
    error = found.error()
    assert isinstance(error, ValidationError)
    assert (error.field, error.next_step) == ("config.resources.memry", "Did you mean memory?")
    assert found.nearest == ("memory",)
    config_error = found.error(ConfigError, file="/etc/x.toml")
    assert isinstance(config_error, ConfigError)
    assert config_error.details["file"] == "/etc/x.toml"


def test_a_plain_error_keeps_its_words() -> None:
    found = explain(ValueError("it is odd"), int)
    assert (found.field, found.message) == ("", "it is odd")


class Fixed(msgspec.Struct, forbid_unknown_fields=True):
    pair: tuple[int, str]
    either: int | None = None
    size: Annotated[Size | None, msgspec.Meta(description="x")] = None
    table: dict[str, Any] = {}
    anything: Any = None


def test_fixed_tuples_unions_and_tables() -> None:
    assert "text" in explained({"pair": [1, 2]}, Fixed).message
    assert explained({"pair": [1, "a"], "either": "x"}, Fixed).expected == "a whole number"
    assert explained({"pair": [1, "a"], "table": 1}, Fixed).expected == "a table"
    assert keys_of(Fixed | None) == ("pair", "either", "size", "table", "anything")
    assert describe(Any) == ""
    assert describe(int | str) == "a whole number or text"


def test_a_key_error_with_other_words() -> None:
    found = explain(msgspec.ValidationError("odd - at `key` in `$.env`"), InstanceConfig)
    assert "a key must be text" in found.message


class Empty(msgspec.Struct, forbid_unknown_fields=True):
    pass


def test_a_struct_without_keys() -> None:
    assert explained({"a": 1}, Empty).expected == "no keys"


def test_paths_into_what_has_no_known_type() -> None:
    error = msgspec.ValidationError("Expected `str`, got `int` - at `$.anything[0].x`")
    assert explain(error, Fixed).field == "anything[0].x"
    assert explain(error, Fixed).expected == "text"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "env", "auth", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_whatever_is_refused_is_explained(value: Any) -> None:
    try:
        codec.convert(value, InstanceConfig)
    except msgspec.ValidationError as error:
        found = explain(error, InstanceConfig, prefix="config")
        assert found.field.startswith("config")
        assert found.message
        assert found.suggestion
