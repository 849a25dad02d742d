"""One verb, many instances: up to eight at a time, each reported."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from swarmd.cli.app import App
from swarmd.cli.interrupts import HEARD_SECONDS
from swarmd.cli.output import FAILED, describe_error, exit_code
from swarmd.errors import SwarmError

T = TypeVar("T")
AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one of them: data or an error."""

    subject: str
    data: Any = None
    error: SwarmError | None = None

    def envelope(self) -> dict[str, Any]:
        """As ``-o json`` lists it."""
        error = None if self.error is None else describe_error(self.error)
        return {
            "subject": self.subject,
            "success": error is None,
            "data": self.data,
            "error": error,
        }


def in_parallel(
    subjects: Sequence[tuple[str, T]], act: Callable[[T], Any], *, at_a_time: int = AT_A_TIME
) -> Iterator[Outcome]:
    """Do it to each, in threads; outcomes as they come.

    The threads are daemonic, so that Ctrl-C does not wait for them: the operations go on in
    the daemon.
    """
    waiting: queue.SimpleQueue[tuple[str, T]] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome | Exception] = queue.SimpleQueue()
    for subject in subjects:
        waiting.put(subject)

    def work() -> None:
        while True:
            try:
                name, item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put(Outcome(name, act(item)))
            except SwarmError as error:
                done.put(Outcome(name, error=error))
            except Exception as error:  # noqa: BLE001 - raised again where the outcomes are read
                done.put(error)
                return

    for number in range(min(at_a_time, len(subjects))):
        threading.Thread(target=work, name=f"swarmctl-{number}", daemon=True).start()
    for _ in subjects:
        outcome = _next(done)
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


def _next(done: queue.SimpleQueue[T]) -> T:
    """The next outcome; Ctrl-C is heard meanwhile, at whatever moment it comes."""
    while True:
        with contextlib.suppress(queue.Empty):
            return done.get(timeout=HEARD_SECONDS)


def run(
    app: App,
    subjects: Sequence[tuple[str, T]],
    act: Callable[[T], Any],
    show: Callable[[Any], None],
    verb: str,
) -> int:
    """Act on each and report each; the exit code.

    One subject fails as itself, with its own exit code. Of several the rest goes on, a summary
    follows, and 1 says that not all went well.

    Args:
        app: The invocation.
        subjects: What to name in reports, and what ``act`` gets.
        act: Does it; what it returns is shown.
        show: Prints one result.
        verb: For the summary: ``started``.
    """
    if len(subjects) == 1:
        data = act(subjects[0][1])
        app.output.noun(data, show)
        return 0
    outcomes = []
    for outcome in in_parallel(subjects, act):
        outcomes.append(outcome)
        app.progress.clear()
        _report(app, outcome, show)
        app.progress.show(f"{len(outcomes)} of {len(subjects)} {verb}")
    app.progress.clear()
    failed = sum(outcome.error is not None for outcome in outcomes)
    if app.output.json:
        app.output.envelope_of([outcome.envelope() for outcome in outcomes], success=not failed)
    summary = f"{len(outcomes) - failed} {verb}" + (f", {failed} failed" if failed else "")
    app.output.note(summary)
    return _code(outcomes)


def _report(app: App, outcome: Outcome, show: Callable[[Any], None]) -> None:
    if outcome.error is not None:
        app.output.error(outcome.error, prefix=f"{outcome.subject}: ")
    elif not app.output.json:
        app.output.noun(outcome.data, show)


def _code(outcomes: Sequence[Outcome]) -> int:
    codes = {exit_code(outcome.error) for outcome in outcomes if outcome.error is not None}
    if not codes:
        return 0
    everywhere = all(outcome.error is not None for outcome in outcomes)
    return codes.pop() if everywhere and len(codes) == 1 else FAILED
