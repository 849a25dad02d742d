"""Who asked a monitor how an instance is, and waits for it. Held by the monitor, on its thread."""

from __future__ import annotations

from collections.abc import Callable

from swarmd.messages.health import InstanceHealth

Reply = Callable[[InstanceHealth], None]


class Callers:
    """An instance's callers are told together, once it was asked and it is sure what that means."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Reply]] = {}
        self._answered: set[str] = set()

    def add(self, instance_id: str, reply: Reply) -> None:
        """One more wants to know."""
        self._waiting.setdefault(instance_id, []).append(reply)

    def to_ask(self) -> tuple[str, ...]:
        """The instances that were not asked yet for those who wait."""
        return tuple(self._waiting.keys() - self._answered)

    def answered(self, instance_id: str) -> None:
        """It was asked, or need not be."""
        if instance_id in self._waiting:
            self._answered.add(instance_id)

    def drop(self, instance_id: str) -> None:
        """It is gone: nobody can be told anything."""
        self._waiting.pop(instance_id, None)
        self._answered.discard(instance_id)

    def tell(
        self, settled: Callable[[str], bool], health: Callable[[str], InstanceHealth | None]
    ) -> None:
        """Tell those whose instance was asked, and settled.

        Args:
            settled: Whether it is sure what its answer means.
            health: What was concluded of it; None: it is gone.
        """
        for instance_id in [each for each in self._answered if settled(each)]:
            told = health(instance_id)
            replies = self._waiting.get(instance_id, ())
            self.drop(instance_id)
            for reply in replies:
                if told is not None:
                    reply(told)
