"""What is to be done about an illness (seed 001, Recovery Mechanisms).

First what can never be helped by itself, then whether that is wanted at all, then whether it
was tried often enough; only then which action, and when.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from swarmd.core.recovery.action import Action, Cannot
from swarmd.core.recovery.attempts import Attempts, RecoveryLimits
from swarmd.core.recovery.remedy import Act, Hold, Leave, Remedy, Wait
from swarmd.core.recovery.table import LEFT, REMEDIES, WORDS
from swarmd.messages.enums import RecoveryAction
from swarmd.messages.health import Illness
from swarmd.messages.units import Size

MEMORY_ATTEMPTS = 1
"""One that ran out of memory is started again so often: the same limit is reached again."""

_BY_HAND = (
    "Look at its log (swarmctl logs NAME), change its configuration (swarmctl update NAME),"
    " or recover it (swarmctl recover NAME)."
)


def decide(
    illness: Illness | None,
    *,
    rules_allow: tuple[RecoveryAction, ...],
    auto: bool,
    attempts: Attempts,
    now: datetime,
    chance: float,
    limits: RecoveryLimits,
    memory_limit: int | None = None,
    said: str = "",
    step: str = "",
) -> Remedy:
    """What to do about one instance that is ill.

    The first attempt takes the first action that is allowed, possible and helps; each further
    attempt the one after it, and the last of them again.

    Args:
        illness: What is wrong with it; None: nothing.
        rules_allow: The actions that may be taken, in this order.
        auto: Whether it is to be recovered by itself.
        attempts: Those of this bout so far.
        now: The time, UTC.
        chance: A random number in [0, 1), for the jitter of the backoff.
        limits: How often, and how patiently.
        memory_limit: Bytes that it may have, to be named if it ran out of them.
        said: What is wrong with it in full, for whoever is to look at it.
        step: What can be done against just that, if it is known.
    """
    if illness is None:
        return Leave("nothing is wrong with it that could be helped")
    if illness in LEFT:
        return Leave(f"{WORDS[illness]}: {LEFT[illness]}")
    if illness is Illness.LOST:
        return _lost(said or WORDS[illness])
    if not auto:
        return Leave(f"{WORDS[illness]}: automatic recovery is switched off for it")
    if illness is Illness.OUT_OF_MEMORY and attempts.count >= MEMORY_ATTEMPTS:
        return _out_of_memory(attempts, memory_limit)
    if attempts.count >= limits.max_attempts:
        return _crash_loop(said or WORDS[illness], attempts, step)
    return _next(illness, rules_allow, attempts, now, chance, limits)


def _next(
    illness: Illness,
    rules_allow: tuple[RecoveryAction, ...],
    attempts: Attempts,
    now: datetime,
    chance: float,
    limits: RecoveryLimits,
) -> Remedy:
    helping = {action.name: action for action in REMEDIES[illness]}
    asked = [helping[name] for name in dict.fromkeys(rules_allow) if name in helping]
    answers = [action.becomes(illness, WORDS[illness]) for action in asked]
    possible = [answer for answer in answers if isinstance(answer, Act)]
    if not possible:
        return _nothing_helps(illness, zip(asked, answers, strict=True))
    due = attempts.next_at(limits, chance)
    # A last one that is still to come tells of a clock that was set back, and of no pause.
    if due is not None and due > now and not attempts.are_ahead_of(now):
        return Wait(due, f"{WORDS[illness]}; tried {attempts}, and again after a pause")
    return possible[min(attempts.count, len(possible) - 1)]


def _lost(said: str) -> Hold:
    return Hold(
        f"{said}; an empty one is never put in its place",
        "Bring it back and start the instance (swarmctl start NAME), or delete it for good"
        " (swarmctl rm --force NAME). swarmctl doctor lists what no record explains.",
        Illness.LOST,
    )


def _out_of_memory(attempts: Attempts, memory_limit: int | None) -> Hold:
    limit = "its memory limit" if memory_limit is None else f"its limit of {Size(memory_limit)}"
    return Hold(
        f"it ran out of memory ({limit}), and starting it again ({attempts}) has not helped",
        "Give it more (swarmctl update NAME --memory SIZE), or start it as it is"
        " (swarmctl start NAME).",
    )


def _crash_loop(said: str, attempts: Attempts, step: str) -> Hold:
    way = f"{step} Then recover it (swarmctl recover NAME)." if step else _BY_HAND
    return Hold(f"a crash loop: tried {attempts}, and still {said}", way)


def _nothing_helps(illness: Illness, asked: Iterable[tuple[Action, object]]) -> Hold:
    refused = [f"{action.name}: {no.why}" for action, no in asked if isinstance(no, Cannot)]
    if not refused:
        names = ", ".join(action.name for action in REMEDIES[illness])
        refused = [f"what helps ({names}) is not in health.recovery_actions"]
    return Hold(f"{WORDS[illness]}; {'; '.join(refused)}", _BY_HAND)
