"""Sizes and durations: what people write, and that encoding is exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.messages.units import Duration, Size, Storage

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512m", 512 * MIB),
        ("512M", 512 * MIB),
        ("512MB", 512 * MIB),
        ("512MiB", 512 * MIB),
        ("2g", 2 * GIB),
        ("1.5g", 3 * GIB // 2),
        ("2048 k", 2 * MIB),
        (" 1t ", 1 << 40),
        ("100b", 100),
        ("100", 100),
        ("0", 0),
        (100, 100),
        (1.5, 1),
    ],
)
def test_sizes_as_people_write_them(text: object, size: int) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize(
    ("text", "size"),
    [(10, 10 * GIB), ("10", 10 * GIB), (0.5, GIB // 2), ("512m", 512 * MIB), ("3b", 3)],
)
def test_a_bare_storage_number_is_gib(text: object, size: int) -> None:
    assert Storage.parse(text) == size


def test_a_size_is_not_scaled_twice() -> None:
    assert Storage.parse(Size(5)) == 5


@pytest.mark.parametrize(
    "wrong",
    ["", "12x", "m", "-1", "1 2m", "1e3", "nan", -1, float("inf"), float("nan"), True, None, []],
)
def test_a_wrong_size_says_what_was_expected(wrong: object) -> None:
    with pytest.raises(ValueError, match='expected a size such as "512m" or "2g", not '):
        Size.parse(wrong)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1d", 86400),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("1M", 60),
        (12, 12),
        (0.5, 0.5),
    ],
)
def test_durations_as_people_write_them(text: object, seconds: float) -> None:
    assert Duration.parse(text) == seconds


@pytest.mark.parametrize(
    "wrong", ["", "30", "s", "-1s", "30x", "1h30", "nan", -1, float("inf"), False, None, {}]
)
def test_a_wrong_duration_says_what_was_expected(wrong: object) -> None:
    with pytest.raises(ValueError, match='expected a duration such as "30s" or "1h30m", not '):
        Duration.parse(wrong)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Size(512 * MIB), "512m"),
        (Size(GIB), "1g"),
        (Size(1), "1b"),
        (Size(0), "0b"),
        (Storage(10 * GIB), "10g"),
        (Duration(90), "90s"),
        (Duration(0.25), "0.25s"),
    ],
)
def test_they_are_shown_with_a_unit(value: Size | Duration, text: str) -> None:
    assert str(value) == text
    assert text in repr(value)


@given(st.integers(0, 2**80), st.sampled_from([Size, Storage]))
def test_a_size_comes_back_exactly(number: int, kind: type[Size]) -> None:
    assert kind.parse(str(kind(number))) == number


@given(st.floats(0, allow_nan=False, allow_infinity=False))
def test_a_duration_comes_back_exactly(seconds: float) -> None:
    assert Duration.parse(str(Duration(seconds))) == seconds


@given(st.text(max_size=20), st.sampled_from([Size, Storage, Duration]))
def test_any_text_is_a_number_or_refused_with_its_words(
    text: str, kind: type[Size | Duration]
) -> None:
    said = ""
    try:
        assert kind.parse(text) >= 0
    except ValueError as error:
        said = str(error)
    assert said == "" or repr(text) in said
