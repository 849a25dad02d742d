"""Hypothesis strategies for the messages: any Struct, from its own annotations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from swarmd.messages.secret import Location, Secret
from swarmd.messages.units import Duration, Size, Storage

TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
CUSTOM: dict[type, st.SearchStrategy[Any]] = {
    Size: st.integers(0, 2**60).map(Size),
    Storage: st.integers(0, 2**60).map(Storage),
    Duration: st.floats(0, 1e12, allow_nan=False).map(Duration),
    Secret: TEXT.map(Secret),
    Location: TEXT.map(Location),
}
MOMENTS = st.integers(0, 2**40).map(
    lambda micros: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: C901
    """Values of a type as msgspec sees it."""
    match kind:
        case inspect.Metadata(type=inner):
            return values(inner)
        case inspect.AnyType():
            return JSON
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType(ge=low, le=high, gt=None, lt=None):
            return st.integers(0 if low is None else low, 2**53 if high is None else high)
        case inspect.FloatType(gt=above, le=most):
            high_end = 1e9 if most is None else most
            return st.floats(above or 0, high_end, exclude_min=above is not None, allow_nan=False)
        case inspect.StrType(pattern=None):
            return TEXT
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern, fullmatch=True).filter(lambda text: "\n" not in text)
        case inspect.DateTimeType():
            return MOMENTS
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list[Enum](cls))
        case inspect.CustomType(cls=cls):
            return CUSTOM[cls]
        case inspect.VarTupleType(item_type=item, min_length=least):
            return st.lists(values(item), min_size=least or 0, max_size=3).map(tuple)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(values(key), values(value), max_size=3)
        case inspect.UnionType(types=types):
            return st.one_of([values(inner) for inner in types])
        case inspect.StructType(cls=cls):
            return structs(cls)
    raise NotImplementedError(str(kind))


def structs(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Instances of a Struct, every field given or left out where it has a default."""
    described = inspect.type_info(cls)
    assert isinstance(described, inspect.StructType)
    required = {field.name: values(field.type) for field in described.fields if field.required}
    optional = {field.name: values(field.type) for field in described.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: cls(**given))
