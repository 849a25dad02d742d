"""The table: illness → what may help, and what is said where nothing does."""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.core.recovery.action import Action
from swarmd.core.recovery.migrate import MIGRATE
from swarmd.core.recovery.recreate import RECREATE
from swarmd.core.recovery.restart import RESTART
from swarmd.messages.enums import RecoveryAction
from swarmd.messages.health import Illness

ACTIONS: tuple[Action, ...] = (RESTART, RECREATE, MIGRATE)
"""All there are, the gentlest first."""

REMEDIES: Mapping[Illness, tuple[Action, ...]] = {
    illness: tuple(action for action in ACTIONS if illness in action.helps) for illness in Illness
}
"""What helps against each illness, the gentlest first."""

WORDS: Mapping[Illness, str] = {
    Illness.EXITED: "it does not run although it is to",
    Illness.HUNG: "it runs and does not answer",
    Illness.OUT_OF_MEMORY: "it reached its memory limit",
    Illness.MISSING: "it is missing at its provider, and its workspace is there",
    Illness.LOST: "it is lost: its workspace is not there",
    Illness.STARVED: "it runs with little memory or disk left",
    Illness.SLOW: "it answers slowly",
    Illness.PROVIDER: "its provider does not answer",
}
"""Each illness in words, for the story."""

LEFT: Mapping[Illness, str] = {
    Illness.STARVED: "a restart frees no disk and ends somebody's work; an alert tells of it",
    Illness.SLOW: "a restart ends somebody's work; an alert tells of it",
    Illness.PROVIDER: "that says nothing of the instance",
}
"""Those about which nothing is done, and why."""


def action_of(name: RecoveryAction) -> Action:
    """The action of this name."""
    return next(action for action in ACTIONS if action.name is name)
