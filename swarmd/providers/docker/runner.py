"""Starting and stopping: until the server answers, until nothing runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from swarmd.errors import Conflict, DeadlineExceeded, ProviderError, SwarmError, ValidationError
from swarmd.messages.instance import Instance
from swarmd.ports import Call
from swarmd.providers.docker.container import Plan, digest, limits, published_at
from swarmd.providers.docker.contents import Content, in_effect
from swarmd.providers.docker.context import SHORT, Context, absent, unhurried, within
from swarmd.providers.docker.engine import NotThere
from swarmd.providers.docker.errors import Going, Stuck
from swarmd.providers.docker.facts import ensure_network
from swarmd.providers.docker.files import Made
from swarmd.providers.docker.looking import GOING, RUNNING, Looker, Seen, ended_words
from swarmd.providers.docker.maker import Maker
from swarmd.providers.docker.marks import State
from swarmd.providers.docker.reach import Reach
from swarmd.providers.docker.settings import made_now, settings_of
from swarmd.providers.shared import exposure
from swarmd.providers.shared.answer import Ended
from swarmd.providers.shared.portbook import PortTaken
from swarmd.providers.shared.wishes import PATH_FIELD

_START_SECONDS = 60.0
_STATE_SECONDS = 0.25
"""Between two looks at whether a container that is to answer still runs."""

_STOP_RESERVE = 15.0
_START_ATTEMPTS = 5


class Runner:
    """Starts and stops containers; each method is called in the instance's turn."""

    def __init__(self, context: Context, looker: Looker, maker: Maker) -> None:
        self._context = context
        self._looker = looker
        self._maker = maker
        self.reach = Reach(context)

    def start(self, instance: Instance, call: Call) -> Seen:
        """Start it and wait until it answers; what runs already is only waited for.

        A container that was made of something else than the instance asks for now is made
        anew around the same volume.

        Raises:
            Conflict: It is in the trash, or its creation is not complete.
            ProviderError: It ended, or something it needs is missing.
            DeadlineExceeded: It did not answer in time; it runs no longer.
        """
        for _ in range(_START_ATTEMPTS):
            seen = self._maker.ensure(instance, call)
            try:
                return self._start_found(instance, seen, call)
            except ProviderError as error:
                if not (isinstance(error, Going) or self._vanished(instance, call)):
                    raise
                # Someone removed it by hand, in the middle: so it is made anew, as always.
                call.progress(f"its container was removed: {error.message}", None)
        raise absent(instance)

    def _vanished(self, instance: Instance, call: Call) -> bool:
        """Whether there is no container any more; False where nobody can tell."""
        try:
            seen = self._looker.find(instance.id, within(call))
        except SwarmError:
            return False
        return seen is None or seen.state in GOING

    def _start_found(self, instance: Instance, seen: Seen, call: Call) -> Seen:
        """Start its container, and wait until it answers."""
        if seen.status is not State.COMPLETE:
            trashed = seen.status is State.TRASHED
            raise Conflict(
                f"{instance.ref} is {'in the trash' if trashed else 'not complete'}",
                next_step="Undelete it." if trashed else "Create it again.",
            )
        if seen.state == "running":
            return replace(self._await(instance, seen, call), unchanged=True)
        if seen.runs:  # paused by hand: it can be neither asked nor changed
            self._context.engine.kill(seen.ref, within(call))
        self.check_exposure(instance)
        plan, seen, before = self._prepare(instance, seen, call)
        seen = self._start(plan, seen, before, call)
        if instance.config.workspace_path or before is None:
            self._make_folder(plan, seen, call)
        return self._await(instance, seen, call)

    def _prepare(
        self, instance: Instance, seen: Seen, call: Call
    ) -> tuple[Plan, Seen, Made | None]:
        """Let a container that does not run be what the instance asks for, its files too.

        Returns:
            What is to start, its container, and what was noted in the one that there was.
        """
        first = seen.state == "created"
        known = self._content(seen)
        image = known.image if known and first else None
        plan = self._maker.plan(instance, seen.marks, call, known=image)
        if known:
            before: Made | None = known.made if first else in_effect(known.made)
        else:
            before = self._looker.kept(seen, within(call)).made
        ready = self._renewed(plan, seen, call)
        made = made_now(plan.config, before)
        as_it_was = known is not None and ready is seen and known.has(made, settings_of(plan, made))
        if not (as_it_was and first):
            resize(self._context, plan, ready, call)
        if not as_it_was:
            self._maker.settle(plan, ready, before, call)
        return plan, ready, before

    def _content(self, seen: Seen) -> Content | None:
        """What is in a container, where it is better not, or need not be, looked at."""
        known = self._looker.contents.of(seen.ref)
        if known is None or self._looker.lives.ended_by_us(seen.ref):
            return None
        return known if known.is_fresh or seen.state != "created" else None

    def _renewed(self, plan: Plan, seen: Seen, call: Call) -> Seen:
        """The container that the plan asks for, if this one was made of something else."""
        same = digest(plan.body()) == seen.marks.spec and plan.image.ref == seen.marks.image
        # One that was taken off its network by hand has no address, and would never answer.
        if same and self._context.options.network in seen.networks:
            return seen
        call.progress("making the container anew around its volume", None)
        return self._maker.replace(plan, seen, call)

    def check_exposure(self, instance: Instance) -> None:
        """Refuse what would give other hosts a terminal, or show them its password."""
        options = self._context.options
        exposure.check(
            instance.config,
            published_at(options, instance.config),
            encrypted=options.tls or self._context.insecure,
        )

    def _start(self, plan: Plan, seen: Seen, before: Made | None, call: Call) -> Seen:
        """Start the container; on ports that nobody has, while nobody knows them yet.

        Known ones are given up only if the engine will not give them to anyone any more.
        """
        fresh = before is not None and before.applied is None
        for _ in range(_START_ATTEMPTS):
            try:
                self._start_once(seen, call)
                return seen
            except PortTaken as error:
                if not (fresh or self._leaked(plan, error, call)):
                    raise
                call.progress(f"another port: {error.message}", None)
                plan, seen = self._maker.move_ports(plan, seen, error, call)
            except (NotThere, Stuck) as error:
                # Its network was removed by hand, and one that has run asks for that very one;
                # or the container itself was; or its first start was cut off with the engine.
                call.progress(f"making the container anew: {error.message}", None)
                ensure_network(self._context)
                seen = self._maker.replace(plan, seen, call)
            self._maker.settle(plan, seen, before, call)
        self._start_once(seen, call)
        return seen

    def _leaked(self, plan: Plan, error: PortTaken, call: Call) -> bool:
        """Whether the engine has a port down as taken that no container has.

        So it does after it was killed during a start, until its next restart; the container of
        that start may show the port as its own although it does not run.
        """
        if "already allocated" not in str(error.details.get("cause")):
            return False
        listed = self._context.engine.containers((), within(call))
        running = [each for each in listed if each.get("State") in RUNNING]
        taken = {port.get("PublicPort") for each in running for port in each.get("Ports") or ()}
        return not taken.intersection(plan.marks.ports.values())

    def _start_once(self, seen: Seen, call: Call) -> None:
        self._context.engine.start(seen.ref, within(call, _START_SECONDS))
        self._looker.lives.note_start(seen.ref, self._context.clock.now())
        self._context.step("started")

    def _make_folder(self, plan: Plan, seen: Seen, call: Call) -> None:
        """Make the folder that VS Code opens, as the instance's user would.

        Where nothing was noted in the container, its creation may have been cut off before that.
        """
        command = ["mkdir", "-p", "--", plan.folder]
        code, words = self._context.engine.run(seen.ref, command, within=within(call))
        if code and plan.config.workspace_path:
            raise ValidationError(
                f"the workspace_path {plan.config.workspace_path!r} is no folder of the workspace",
                field=PATH_FIELD,
                next_step="Choose a folder below the workspace.",
                details={"cause": words.decode(errors="replace").strip()},
            )

    # --- waiting for the first answer --------------------------------------------------------

    def _await(self, instance: Instance, seen: Seen, call: Call) -> Seen:
        """Until it answers; if it does not, it is ended before the error goes on."""
        watch = _Watch(self, instance, seen, call)
        try:
            self.reach.until_ok(seen, watch.check)
        except Ended:
            raise self._ended_early(instance, seen) from None
        except BaseException:
            self._end(seen, "it never answered")
            raise
        self._context.step("answered")
        now = self._looker.find(instance.id, within(call))
        if now is None:
            raise absent(instance)
        return now

    def _end(self, seen: Seen, words: str) -> None:
        """End a container, whatever else has happened."""
        self._looker.lives.expect_end(seen.ref, words)
        try:
            self._context.engine.kill(seen.ref, SHORT)
        except NotThere:
            return
        self._looker.lives.note_end(seen.ref, words)

    def _ended_early(self, instance: Instance, seen: Seen) -> ProviderError:
        how, cause = "its container was removed", ""
        try:
            state = self._context.engine.inspect(seen.ref, SHORT).get("State") or {}
            how = ended_words(state)
            cause = self._maker.jobs.last_words(seen.ref, unhurried(), 20)
        except SwarmError as error:
            cause = cause or error.message
        self._looker.lives.note_end(seen.ref, how)
        return ProviderError(
            f"code-server of {instance.ref} ended before it answered: {how}",
            next_step="Look at its log (swarmctl logs) and correct what it complains about.",
            details={"cause": cause, "exit": how},
        )

    def state_of(self, seen: Seen) -> str:
        """What the engine says of a container now; empty if it is gone."""
        try:
            found = self._context.engine.inspect(seen.ref, SHORT)
        except NotThere:
            return ""
        return str((found.get("State") or {}).get("Status", ""))

    def late(self, seen: Seen, timeout: float) -> DeadlineExceeded:
        """The error of a server that runs and does not answer."""
        return DeadlineExceeded(
            f"code-server did not answer within {timeout:g} s of its start",
            field="config.health.start_timeout",
            next_step="Look at its log (swarmctl logs), or raise health.start_timeout.",
            details={"cause": self._maker.jobs.last_words(seen.ref, unhurried(), 20)},
        )

    def start_timeout(self, instance: Instance) -> float:
        """Seconds from a start to the first answer."""
        return float(instance.config.health.start_timeout or self._context.defaults.start_timeout)

    # --- stopping ----------------------------------------------------------------------------

    def stop(self, instance: Instance, call: Call, *, force: bool) -> Seen | None:
        """End everything that runs in it.

        Returns:
            Its container; None if it has none, and so nothing runs.

        Raises:
            InstanceNotFound: There is neither container nor volume.
        """
        seen = self._maker.claim(instance, call)
        if seen is None:
            if self._looker.volume(instance.id, within(call)) is None:
                raise absent(instance)
            return None
        if seen.runs:
            self._looker.lives.expect_end(seen.ref, "stopped")
            grace = 0.0 if force else float(self._context.defaults.stop_grace)
            grace = min(grace, max(0.0, call.remaining - _STOP_RESERVE))
            if grace and seen.state != "paused":
                self._context.engine.stop(seen.ref, grace, within(call, grace + _STOP_RESERVE))
            else:
                self._context.engine.kill(seen.ref, within(call, _STOP_RESERVE))
            self._looker.lives.note_end(seen.ref, "stopped")
            self._context.step("stopped")
        after = self._looker.find(instance.id, within(call))
        return None if after is None else replace(after, unchanged=not seen.runs)


@dataclass(slots=True)
class _Watch:
    """Whether there is still hope for an answer."""

    runner: Runner
    instance: Instance
    seen: Seen
    call: Call
    _looked: float = 0.0
    _deadline: float = 0.0

    def __post_init__(self) -> None:
        self._looked = time.monotonic()
        self._deadline = self._looked + self.runner.start_timeout(self.instance)

    def check(self) -> None:
        """Raise ``Ended``, ``DeadlineExceeded`` or ``OperationCancelled`` if there is none."""
        self.call.check()
        now = time.monotonic()
        if now >= self._deadline:
            timeout = self.runner.start_timeout(self.instance)
            raise self.runner.late(self.seen, timeout)
        if now - self._looked >= _STATE_SECONDS:
            self._looked = now
            if self.runner.state_of(self.seen) not in ("running", "restarting", "created"):
                raise Ended


def resize(context: Context, plan: Plan, seen: Seen, call: Call) -> None:
    """Give a container the limits of its plan, if it has others.

    Raises:
        ResourceLimitError: The engine refuses them, for instance less memory than is in use.
    """
    wanted = limits(plan.config, plan.options)
    host = context.engine.inspect(seen.ref, within(call)).get("HostConfig") or {}
    if any(host.get(key) != value for key, value in wanted.items()):
        context.engine.update(seen.ref, wanted, within(call))
        context.step("resized")
