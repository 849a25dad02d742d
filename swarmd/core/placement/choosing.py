"""Filter, score, rank."""

from __future__ import annotations

from collections.abc import Sequence

from swarmd.core.placement.asking import Ask, Candidate, Rules, abilities
from swarmd.core.placement.filters import FIELD, refusal, unknown_provider
from swarmd.core.placement.scoring import Score, Strategy
from swarmd.core.placement.strategies import strategy_named
from swarmd.errors import ProviderNotFound, ResourceLimitError, SwarmError
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.replies import Placement, RankedProvider, RefusedProvider

Refusals = Sequence[tuple[Candidate, SwarmError]]

NAMED = "asked for by name"
DEFAULT = "daemon.default_provider"


def place(config: InstanceConfig, candidates: Sequence[Candidate], rules: Rules) -> Placement:
    """Where a new instance goes (seed 000, sections 2.5 and 4.2).

    Args:
        config: What was asked for; right in itself.
        candidates: Every provider.
        rules: What the configuration says.

    Raises:
        ProviderNotFound: None of the name that is asked for, or none is enabled.
        ResourceLimitError: None takes it; ``details["refused"]`` has each one's reason.
        SwarmError: The one that is named, or the only one that is enabled, does not take it.
    """
    strategy = strategy_named(rules.strategy)
    ask = Ask(config, rules.insecure, strategy.weighs_region, abilities(candidates))
    if config.provider is not None:
        return _named(config.provider, candidates, ask, strategy)
    if not any(each.info.enabled for each in candidates):
        raise _none_enabled(candidates)
    refused: list[tuple[Candidate, SwarmError]] = []
    fit: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda each: each.name):
        error = refusal(candidate, ask)
        if error is None:
            fit.append(candidate)
        else:
            refused.append((candidate, error))
    if not fit:
        raise _none_fits(refused)
    ranked = _rank(fit, config, strategy, rules.default_provider)
    return Placement(
        chosen=ranked[0].provider,
        strategy=strategy.name,
        ranked=ranked,
        refused=tuple(_refused(refused)),
    )


def told(placement: Placement) -> str:
    """Why the chosen one was chosen, for the story of the instance."""
    first, of = placement.ranked[0], len(placement.ranked)
    parts = ", ".join(f"{name} {value:.4g}" for name, value in first.parts.items())
    scored = f"{placement.strategy} gives it {first.score:.4g}" + (f" ({parts})" if parts else "")
    among = f"the first of {of} that take it" if of > 1 else "the only one that takes it"
    if first.note == NAMED:
        return f"{NAMED}; {scored}"
    return "; ".join(filter(None, (among, first.note, scored)))


def _named(name: str, candidates: Sequence[Candidate], ask: Ask, strategy: Strategy) -> Placement:
    """The one that is asked for, or its reason: never another one."""
    found = next((each for each in candidates if each.name == name), None)
    if found is None:
        raise unknown_provider(name, [each.name for each in candidates], field=FIELD)
    error = refusal(found, ask)
    if error is not None:
        raise error
    ranked = _ranked(name, strategy.score(found, ask.config), NAMED)
    return Placement(chosen=name, strategy=strategy.name, ranked=(ranked,))


def _rank(
    fit: Sequence[Candidate], config: InstanceConfig, strategy: Strategy, default: str
) -> tuple[RankedProvider, ...]:
    """The best first: healthy ones, the default one, then by score, by priority, by name."""
    scores = {each.name: strategy.score(each, config) for each in fit}

    def order(each: Candidate) -> tuple[bool, bool, bool, float, float, str]:
        score = scores[each.name]
        return (
            _fails(each),
            each.name != default,
            not score.known,
            -score.total,
            -each.info.priority,
            each.name,
        )

    return tuple(
        _ranked(each.name, scores[each.name], _why(each, default))
        for each in sorted(fit, key=order)
    )


def _fails(candidate: Candidate) -> bool:
    """Whether it failed lately, though not so often that it is left alone (seed 000, 4.4)."""
    return candidate.info.breaker.failures > 0


def _why(candidate: Candidate, default: str) -> str:
    failures = candidate.info.breaker.failures
    times = f"{failures} times" if failures > 1 else "once"
    failed = f"it failed {times} lately, so that the others come first" if failures else ""
    return "; ".join(filter(None, (DEFAULT if candidate.name == default else "", failed)))


def _ranked(name: str, score: Score, why: str) -> RankedProvider:
    note = why if why == NAMED else "; ".join(filter(None, (why, score.note)))
    return RankedProvider(provider=name, score=score.total, parts=dict(score.parts), note=note)


def _refused(refused: Refusals) -> list[RefusedProvider]:
    return [
        RefusedProvider(provider=each.name, reason=error.message, field=error.field)
        for each, error in refused
    ]


def _none_enabled(candidates: Sequence[Candidate]) -> ProviderNotFound:
    return ProviderNotFound(
        "no provider is enabled",
        field=FIELD,
        next_step="Enable one with swarmctl providers enable NAME."
        if candidates
        else "Add one under [[providers]], or with swarmctl providers register.",
        details={"known": sorted(each.name for each in candidates)},
    )


def _none_fits(refused: Refusals) -> SwarmError:
    """Each one's reason; where only one is enabled, its own error says it best."""
    enabled = [(each, error) for each, error in refused if each.info.enabled]
    if len(enabled) == 1:
        return enabled[0][1]
    fields = {error.field for _, error in enabled}
    reasons = "; ".join(error.message for _, error in enabled)
    return ResourceLimitError(
        f"no provider takes this instance: {reasons}",
        field=fields.pop() if len(fields) == 1 else None,
        next_step="Ask for less, make room, or enable another provider (swarmctl providers).",
        details={
            "refused": [
                {"provider": each.provider, "reason": each.reason, "field": each.field}
                for each in _refused(refused)
            ]
        },
    )
