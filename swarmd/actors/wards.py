"""What a monitor remembers of its instances: their tracks, and which were judged as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from swarmd.actors.looking import Looked
from swarmd.core.health.facts import Seen
from swarmd.core.health.rules import Rules, rules_of
from swarmd.core.health.track import Track
from swarmd.core.health.verdict import is_in_doubt
from swarmd.core.tables import Tables
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance
from swarmd.messages.provider import Observed
from swarmd.ports import Answer

_TO_THE_SECOND = timedelta(seconds=1)
"""So exactly do providers tell when an instance was started."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the last sweep of the provider showed.

    Args:
        began: When it was asked for.
        at: The same in monotonic seconds.
        ok: Whether the provider answered.
        message: What it, or the error, said.
        observed: What it has, by id.
    """

    began: datetime
    at: float
    ok: bool
    message: str
    observed: Mapping[str, Observed]

    @classmethod
    def of(cls, looked: Looked, now: datetime, moment: float) -> Sight:
        """Of a sweep that the monitor is told of now (UTC; the same in monotonic seconds)."""
        return cls(
            began=now - timedelta(seconds=moment - looked.began),
            at=looked.began,
            ok=looked.observed is not None,
            message=looked.view.health.message,
            observed={each.id: each for each in looked.observed or ()},
        )

    def seen(self, row: Instance, tables: Tables) -> Seen:
        """The same about one instance, with the operation under way on it."""
        active = tables.active_of(row.id)
        shown = self.observed.get(row.id)
        return Seen(
            provider_ok=self.ok,
            provider_message=self.message,
            present=True if shown is not None else self._lacks(row),
            runs=shown.status is InstanceStatus.RUNNING if shown is not None else None,
            at=self.at,
            busy=active[0].origin if active else None,
            exit=shown.exit if shown is not None else None,
        )

    def _lacks(self, row: Instance) -> bool | None:
        """False: it was not there. None: it was not looked for since it was started."""
        newer = row.started_at is not None and row.started_at + _TO_THE_SECOND > self.began
        return None if newer or not self.ok else False


class Wards:
    """The instances of one provider. Held by its monitor, on its thread.

    Args:
        settings: ``[health]`` now.
    """

    def __init__(self, settings: Callable[[], HealthConfig]) -> None:
        self._settings = settings
        self._tracks: dict[str, Track] = {}
        self._rules: dict[str, tuple[HealthConfig, Any, Rules]] = {}
        self._judged: dict[str, Instance] = {}
        self._changed: set[str] = set()

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._tracks

    def rules(self, row: Instance) -> Rules:
        """What holds for one: made anew only if what it is made of has changed."""
        settings, check = self._settings(), row.config.health
        known = self._rules.get(row.id)
        if known is not None and known[0] is settings and known[1] is check:
            return known[2]
        rules = rules_of(settings, check)
        self._rules[row.id] = (settings, check, rules)
        return rules

    def track(self, row: Instance) -> Track | None:
        """What is remembered of one; None as long as the store was not asked."""
        track = self._tracks.get(row.id)
        if track is not None and row.started_at is not None:
            track.started(row.started_at, self.rules(row).grace)
        return track

    def take(self, instance_id: str, kept: InstanceHealth | None = None) -> None:
        """Begin to remember one, with what the store kept of it."""
        if instance_id not in self._tracks:
            track = self._tracks[instance_id] = Track(self._settings().history_size)
            if kept is not None:
                track.restore(kept)

    def answered(self, row: Instance, answer: Answer, now: datetime, moment: float) -> bool:
        """One was asked; whether its provider is to be looked at: it may hang, or have ended.

        Args:
            row: Whom.
            answer: What came of it.
            now: When, UTC.
            moment: The same in monotonic seconds.
        """
        track = self.track(row)
        if track is None:
            return False
        track.answered(answer.ok, answer.seconds, answer.message, now)
        self._changed.add(row.id)
        return track.suspected(self.rules(row).failures, moment)

    def is_settled(self, instance_id: str, tables: Tables, sight: Sight | None) -> bool:
        """Whether no newer look is needed to know what the answers of one mean."""
        row = tables.instances.get(instance_id)
        track = self.track(row) if row is not None else None
        if row is None or track is None or sight is None or not sight.ok:
            return True
        return not is_in_doubt(track, sight.seen(row, tables))

    def health(self, instance_id: str, tables: Tables) -> InstanceHealth | None:
        """What was concluded of one; None: it is gone, or nothing is known."""
        row = tables.instances.get(instance_id)
        track = self.track(row) if row is not None else None
        return track.to_health(row) if row is not None and track is not None else None

    def excuse(self) -> None:
        """What failed until now was their provider's illness: failures are counted anew."""
        for track in self._tracks.values():
            track.excused()

    def missing(self, rows: Iterable[Instance]) -> set[str]:
        """Those of which nothing is remembered yet.

        What does not run and is not to has no health, and costs no memory.
        """
        return {
            row.id
            for row in rows
            if row.id not in self._tracks
            and (row.desired is DesiredState.RUNNING or row.health is not HealthStatus.UNKNOWN)
        }

    def forget_others(self, there: set[str]) -> set[str]:
        """Forget all but these; the ids of those that were forgotten."""
        gone = self._tracks.keys() - there
        for each in gone:
            del self._tracks[each]
            self._rules.pop(each, None)
            self._judged.pop(each, None)
            self._changed.discard(each)
        return gone

    # --- what was judged, what is to be kept -------------------------------------------------

    def note_judged(self, row: Instance, *, again: bool = False) -> None:
        """One was judged as it is now; ``again``: the next look may tell more of the same."""
        if again:
            self._judged.pop(row.id, None)
        else:
            self._judged[row.id] = row

    def is_judged(self, row: Instance) -> bool:
        """Whether the record is the one that was judged last."""
        return self._judged.get(row.id) is row

    def note_changed(self, instance_id: str) -> None:
        """There is something new to be kept."""
        self._changed.add(instance_id)

    def to_keep(self, instances: Mapping[str, Instance]) -> list[InstanceHealth]:
        """What is new since this was asked last."""
        changed, self._changed = self._changed, set()
        there = (each for each in changed if each in instances and each in self._tracks)
        return [self._tracks[each].to_health(instances[each]) for each in there]
