"""Ids, passwords and marks: unlike each other, and cheap where they are many."""

from __future__ import annotations

from swarmd.chance import marks, new_id, new_password
from swarmd.core.naming import parse_ref


def test_ids_are_in_the_order_of_their_making_and_known_as_ids() -> None:
    first = new_id()
    assert parse_ref(first, "ana").id == first
    assert first == first.lower()
    assert len({new_id() for _ in range(1000)}) == 1000


def test_passwords_are_long_and_different() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 16


def test_each_request_gets_a_mark_of_its_own() -> None:
    mark, other = marks(), marks()
    made = [mark() for _ in range(1000)] + [other() for _ in range(10)]
    assert len(set(made)) == 1010
    assert made[0].rpartition("-")[0] == made[999].rpartition("-")[0]
