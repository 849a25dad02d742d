"""Any series of batches and restarts equals what a dictionary would hold."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.store.samples import Opened, close, ended, event, instance, make_store, operation, reason

IDS = st.sampled_from(["a", "b", "c", "d"])
LISTS = st.lists(IDS, max_size=3, unique=True)


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """What a batch does, by id: write, drop, tell."""
    instances, operations = draw(LISTS), draw(LISTS)
    return {
        "instances": instances,
        "drop_instances": [one for one in draw(LISTS) if one not in instances],
        "operations": operations,
        "drop_operations": [one for one in draw(LISTS) if one not in operations],
        "events": draw(st.integers(0, 3)),
        "reasons": draw(st.lists(st.tuples(IDS, st.text(max_size=5)), max_size=3)),
        "ended": draw(st.booleans()),
    }


STEPS = st.lists(st.one_of(changes(), st.just("restart"), st.just("reload")), max_size=25)


class Model:
    """The store as dictionaries."""

    def __init__(self) -> None:
        self.instances: dict[str, Any] = {}
        self.operations: dict[str, Any] = {}
        self.stories: dict[str, list[str]] = {}
        self.seq = 0
        self.number = 0

    def batch(self, step: dict[str, Any]) -> dict[str, Any]:
        """Take the step, and say it as a batch."""
        self.number += 1
        make = ended if step["ended"] else operation
        made = tuple(instance(one, observation=self.number) for one in step["instances"])
        operations = tuple(make(one) for one in step["operations"])
        events = tuple(event(self.seq + 1 + number) for number in range(step["events"]))
        self.seq += len(events)
        for one in made:
            self.instances[one.id] = one
        for done in operations:
            self.operations[done.id] = done
        for name, why in step["reasons"]:
            self.stories[name] = [*self.stories.get(name, []), why][-10:]
        for name in step["drop_instances"]:
            self.instances.pop(name, None)
            self.stories.pop(name, None)
        for name in step["drop_operations"]:
            self.operations.pop(name, None)
        return {
            "instances": made,
            "operations": operations,
            "events": events,
            "reasons": tuple((name, reason(why)) for name, why in step["reasons"]),
            "drop_instances": tuple(step["drop_instances"]),
            "drop_operations": tuple(step["drop_operations"]),
        }


def _answers(store: Opened, number: int) -> None:
    assert [store.answer() for _ in range(number)] == [None] * number


def _compare(model: Model, store: Opened, state: Any) -> None:
    assert {one.id: one for one in state.instances} == model.instances
    assert {one.id: one for one in state.operations} == model.operations
    assert state.last_seq == model.seq
    assert state.quarantined == ()
    for name in "abcd":
        told = [one.why for one in store.store.story(name)]
        assert told == model.stories.get(name, [])
    gap, events = store.store.history(0, 1000)
    assert (gap, [one.seq for one in events]) == (False, list(range(1, model.seq + 1)))


@given(STEPS)
def test_the_store_holds_what_a_dictionary_would(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "state"
        model = Model()
        store = make_store(root, segment_size=600)
        now, waiting = Opened(store, store.open()), 0
        try:
            for step in [*steps, "reload", "restart"]:
                if isinstance(step, dict):
                    now.submit(**model.batch(step))
                    waiting += 1
                    continue
                if step == "restart":
                    close(store)
                    _answers(now, waiting)
                    store = make_store(root, segment_size=600)
                    now = Opened(store, store.open())
                    _compare(model, now, now.state)
                else:
                    again = store.reload()
                    _answers(now, waiting)
                    _compare(model, now, again)
                waiting = 0
        finally:
            close(store)
