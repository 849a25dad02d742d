"""What the engine's events lead to, without an engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from swarmd.errors import ProviderUnreachable
from swarmd.providers.docker import watch as module
from swarmd.providers.docker.lives import Lives
from swarmd.providers.docker.watch import Watch
from tests.support import wait_until

OURS = f"swarmd-{'0' * 26}-e1"


class FakeStream:
    """Tells its events, then breaks or waits until it is closed."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = events
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self._events
        if self._events:
            raise ProviderUnreachable("it broke")
        self._closed.wait()

    def close(self) -> None:
        self._closed.set()


class FakeEngine:
    """Its streams, one after the other; and one container's name."""

    def __init__(self, *streams: list[dict[str, Any]], name: str = "") -> None:
        self.streams = [*streams]
        self.name = name
        self.renamed: list[str] = []
        self.opened = 0

    def events(self, filters: object, since: object, within: float) -> FakeStream:
        self.opened += 1
        return FakeStream(self.streams.pop(0) if self.streams else [])

    def inspect(self, ref: str, within: float) -> dict[str, Any]:
        return {"Name": f"/{self.name}"}

    def rename(self, ref: str, name: str, within: float) -> None:
        self.renamed.append(name)


def event(action: str, **attributes: str) -> dict[str, Any]:
    return {"Action": action, "Actor": {"ID": "c", "Attributes": attributes}, "time": 1}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BASE", 0.001)


def watching(engine: FakeEngine, looks: list[int]) -> Watch:
    context: Any = SimpleNamespace(name="box", engine=engine)
    looker: Any = SimpleNamespace(lives=Lives(lambda: 0.0))
    made = Watch(context, looker, lambda: looks.append(1), lambda: 0.5)
    made.start()
    return made


def test_an_odd_event_does_not_make_it_deaf() -> None:
    engine = FakeEngine([{"Action": "start", "time": "soon"}])
    watch = watching(engine, [])
    wait_until(lambda: engine.opened == 2)
    assert watch.problem is None
    watch.close()


def test_a_stream_that_stood_is_opened_again_soon() -> None:
    engine = FakeEngine(*([event("start")] for _ in range(20)))
    watch = watching(engine, [])
    wait_until(lambda: engine.opened == 21)
    assert watch._failures == 0
    watch.close()


@pytest.mark.parametrize(("now", "given"), [("by-hand", [OURS]), (f"{OURS}-trash", [])])
def test_a_name_is_given_back_that_it_still_has(now: str, given: list[str]) -> None:
    engine = FakeEngine([event("rename", oldName=f"/{OURS}", name="by-hand")], name=now)
    watch = watching(engine, [])
    wait_until(lambda: engine.opened == 2)
    assert engine.renamed == given
    watch.close()


def test_work_for_an_instance_is_no_reason_to_look() -> None:
    job = event("die", **{"dev.swarmd.job": "x", "exitCode": "0"})
    looks: list[int] = []
    watch = watching(FakeEngine([job] * 50), looks)
    wait_until(lambda: len(looks) == 3)  # two streams that stood, and the pause between them
    watch.close()
    assert len(looks) == 3
