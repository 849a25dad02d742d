"""The provider itself: ``swarmd.ports.Provider`` for the containers of one engine (issue 3)."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from swarmd.core.changes import changed_fields, covered
from swarmd.errors import (
    InitializationError,
    ProviderError,
    SwarmError,
    Unavailable,
)
from swarmd.messages.config import Config
from swarmd.messages.instance import Instance, InstanceStats
from swarmd.messages.provider import (
    Address,
    Capabilities,
    Observed,
    ProviderHealth,
    ProviderRecord,
)
from swarmd.messages.requests import ExecInstance, LogsInstance
from swarmd.messages.state import Node
from swarmd.ports import Call, Clock, Session, UpdateOutcome
from swarmd.providers.docker import archive
from swarmd.providers.docker.container import Plan, folder_of, wanted_ports
from swarmd.providers.docker.context import SHORT, Context, absent, passed, within
from swarmd.providers.docker.engine import Engine
from swarmd.providers.docker.facts import Facts
from swarmd.providers.docker.files import Made, bare, made_files, tar_of
from swarmd.providers.docker.looking import Looker, Seen, without_container
from swarmd.providers.docker.maker import Maker
from swarmd.providers.docker.marks import State
from swarmd.providers.docker.options import read_options
from swarmd.providers.docker.runner import Runner, resize
from swarmd.providers.docker.sessions import open_exec, open_logs
from swarmd.providers.docker.usage import Usage
from swarmd.providers.docker.watch import Watch
from swarmd.providers.shared.codeserver import render_config
from swarmd.providers.shared.faults import os_faults
from swarmd.providers.shared.portbook import PortBook
from swarmd.providers.shared.wishes import check_extensions, check_subfolder


def _nothing(step: str) -> None:
    """The default of ``step``."""


class DockerProvider:
    """VS Code in containers of one engine.

    Args:
        record: Its name and options.
        config: For places, start timeout, stop grace and ``insecure``.
        node: This daemon.
        clock: Time.
        step: Told at each point where the state at the engine has changed.
    """

    def __init__(
        self,
        record: ProviderRecord,
        config: Config,
        node: Node,
        clock: Clock,
        *,
        step: Callable[[str], None] = _nothing,
    ) -> None:
        options = read_options(record.options)
        self._engine = Engine(record.name, options.where, parallel=record.max_parallel)
        self._ports_file = Path(config.daemon.state_dir) / "ports" / f"{record.name}.jsonl"
        remote = options.engine_host is not None
        ports = PortBook(
            options.ports,
            self._ports_file,
            lambda: clock.now().timestamp(),
            (lambda address, port: True) if remote else None,
        )
        self._context = Context(
            name=record.name,
            options=options,
            node=node,
            clock=clock,
            defaults=config.instances,
            engine=self._engine,
            ports=ports,
            insecure=config.daemon.insecure,
            step=step,
        )
        self._looker = Looker(self._context)
        self._maker = Maker(self._context, self._looker)
        self._runner = Runner(self._context, self._looker, self._maker)
        self._usage = Usage(self._context, self._looker)
        self._watch: Watch | None = None
        self._facts = Facts(self._context)

    @property
    def name(self) -> str:
        """The configured name."""
        return self._context.name

    @property
    def type(self) -> str:
        """``docker``."""
        return "docker"

    # --- the provider ------------------------------------------------------------------------

    def initialize(self) -> None:
        """Find the engine, what it can do, and what is there."""
        try:
            with os_faults("preparing the list of ports"):
                self._ports_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._facts.ask()
            self._maker.removal.sweep_jobs()
            self._looker.refresh()
            found = self._looker.containers()
        except SwarmError as error:
            raise InitializationError(
                error.message,
                field=error.field,
                next_step=error.next_step,
                details=error.details,
            ) from error
        self._context.ports.load(self._looker.ports_taken(found))

    def capabilities(self) -> Capabilities:
        """What the engine was found to be able to do."""
        return self._facts.capabilities()

    def probe(self) -> ProviderHealth:
        """Whether the engine answers."""
        return self._facts.probe(self._watch.problem if self._watch else None)

    def watch(self, changed: Callable[[], None]) -> None:
        """Follow the engine's events."""
        # Jitter keeps daemons that share an engine from coming back together; no secret is made.
        self._watch = Watch(self._context, self._looker, changed, random.random)
        self._watch.start()

    def upkeep(self, now: datetime) -> None:
        """Forget old reservations, see what lost its container, count what the volumes hold."""
        del now  # reservations are kept on the provider's own clock
        with os_faults("forgetting which ports were reserved"):
            self._context.ports.forget_expired()
        self._looker.refresh()
        self._usage.refresh()

    def dispose(self) -> None:
        """Let go of the engine: instances keep running."""
        if self._watch is not None:
            self._watch.close()
        self._engine.close()

    # --- making and removing -----------------------------------------------------------------

    def validate(self, instance: Instance) -> None:
        """Refuse what cannot work here. No side effects."""
        config, context = instance.config, self._context
        self._runner.check_exposure(instance)
        check_subfolder(config.workspace_path)
        check_extensions(config)
        self._maker.admission.check_workspace(instance)
        for wanted in filter(None, wanted_ports(config).values()):
            context.ports.check_wanted(instance.id, wanted)
        self._maker.admission.check_room(instance)

    def create(self, instance: Instance, call: Call) -> Observed:
        """Make everything but the running server."""
        with self._context.turn(instance.id, call):
            return self._observed(instance, self._maker.create(instance, call))

    def import_data(self, instance: Instance, chunks: Iterable[bytes], call: Call) -> Observed:
        """Create it from an archive."""
        with self._context.turn(instance.id, call):
            return self._observed(instance, self._maker.create(instance, call, chunks))

    def renew(self, instance: Instance, call: Call) -> None:
        """Remove its container: the next start makes another around the volume."""
        with self._context.turn(instance.id, call):
            self._maker.renew(instance, call)

    def update(self, instance: Instance, call: Call) -> UpdateOutcome:
        """Apply the configuration: limits at once, the rest at the next start.

        What changes more than limits makes the container anew at that start, around the same
        volume.
        """
        with self._context.turn(instance.id, call):
            seen = self._maker.ensure(instance, call)
            kept = self._looker.kept(seen, within(call))
            self._maker.admission.check_storage(instance, kept.made)
            plan = self._maker.plan(instance, seen.marks, call, look=True)
            resize(self._context, plan, seen, call)
            # One that was made anew knows of nothing: what is installed is looked for again.
            made = kept.made or Made(config=instance.config, applied=instance.config)
            now = replace(made, config=bare(instance.config))
            self._looker.contents.forget([seen.ref])
            self._looker.check_stays(seen, within(call))
            self._engine.put_archive(seen.ref, "/", [tar_of(made_files(now))], within(call))
            self._context.step("configuration noted")
            waiting = self._waiting(plan, made, kept.settings) if seen.runs else ()
            return UpdateOutcome(self._observed(instance, seen), waiting)

    def _waiting(self, plan: Plan, made: Made, settings: str | None) -> tuple[str, ...]:
        """The fields that only the next start puts into effect."""
        live = self.capabilities().live_fields
        applied = made.applied or made.config
        fields = [
            field
            for field in changed_fields(applied, bare(plan.config))
            if not covered(field, live)
        ]
        if settings is not None and settings != render_config(plan.config.auth):
            fields.append("auth.credentials")
        return tuple(fields)

    def trash(self, instance: Instance, call: Call) -> None:
        """Put it aside: its container's name says so, and its volume stays."""
        with self._context.turn(instance.id, call):
            call.check()
            known = self._known(instance, call)
            if known is None and self._looker.volume(instance.id, within(call)) is None:
                return
            seen = self._maker.ensure(instance, call)
            if seen.runs:
                self._runner.stop(instance, call, force=True)
            self._maker.rename(seen, instance.epoch, State.TRASHED, call)

    def restore(self, instance: Instance, call: Call) -> Observed:
        """Take it out of the trash."""
        with self._context.turn(instance.id, call):
            seen = self._maker.ensure(instance, call)
            if seen.status is State.TRASHED:
                seen = self._maker.rename(seen, instance.epoch, State.COMPLETE, call)
            return self._observed(instance, seen)

    def purge(self, instance: Instance, call: Call) -> None:
        """Remove everything."""
        with self._context.turn(instance.id, call):
            call.check()
            self._known(instance, call)
            self._maker.removal.purge(instance.id, call)

    def discard(self, stray_id: str, call: Call) -> None:
        """Remove a stray: its containers, and its volume."""
        with self._context.turn(stray_id, call):
            self._maker.removal.purge(stray_id, call)

    def export(self, instance: Instance, call: Call) -> Iterator[bytes]:
        """Its data as a tar stream."""
        seen = self._known_container(instance, call)
        plan = self._maker.plan(instance, seen.marks, call, look=True)
        home, jobs = plan.image.home, self._maker.jobs
        times = jobs.times(plan, seen, call)
        base = "" if self._context.podman else Path(home).name

        def chunks() -> Generator[bytes]:
            # Begun when the times are known: until its end the engine holds the container, and
            # lets nobody run a command in it.
            self._looker.check_stays(seen, within(call))
            tar = self._engine.get_archive(seen.ref, home, call.remaining)
            with contextlib.closing(tar):
                yield from tar

        def stream() -> Iterator[bytes]:
            with contextlib.closing(chunks()) as opened:
                yield from archive.export(opened, call, base=base, times=times)

        return stream()

    # --- running -----------------------------------------------------------------------------

    def start(self, instance: Instance, call: Call) -> Observed:
        """Start it and wait until it answers."""
        with self._context.turn(instance.id, call):
            return self._observed(instance, self._runner.start(instance, call))

    def stop(self, instance: Instance, call: Call, *, force: bool = False) -> Observed:
        """End everything that runs in it."""
        with self._context.turn(instance.id, call):
            return self._observed(instance, self._runner.stop(instance, call, force=force))

    def check(self, instance: Instance, call: Call) -> str:
        """Ask its server once."""
        seen = self._known(instance, call)
        if seen is None:
            raise absent(instance)
        if not seen.runs:
            raise ProviderError(f"{instance.ref} does not run", next_step="Start it.")
        return self._runner.reach.once(instance, seen, call)

    def exec(self, instance: Instance, options: ExecInstance) -> Session:
        """Run a command in it, as its user."""
        call = self._brief()
        seen = self._known(instance, call)
        if seen is None:
            raise absent(instance)
        if seen.state != "running":
            raise Unavailable(
                f"{instance.ref} does not run",
                next_step=f"Start it: swarmctl start {instance.ref}.",
            )
        image = self._maker.images.get(seen.marks.image, call)
        return open_exec(
            self._engine,
            seen.ref,
            options,
            folder=folder_of(image, instance.config),
            env=options.env,
            user=image.account,
            within=SHORT,
        )

    def logs(self, instance: Instance, options: LogsInstance) -> Session:
        """Open its log."""
        seen = self._known_container(instance, self._brief())
        now = self._context.clock.now().timestamp()
        return open_logs(self._engine, seen.ref, options, now=now, within=SHORT)

    def _brief(self) -> Call:
        clock = self._context.clock.monotonic
        return Call(deadline=clock() + 2 * SHORT, clock=clock)

    # --- looking -----------------------------------------------------------------------------

    def get(self, instance_id: str) -> Observed | None:
        """What is there now."""
        return self._looker.one(instance_id, config=True)

    def list(self) -> Sequence[Observed]:
        """Everything, in one sweep."""
        found = self._looker.everything()
        self._facts.note_answer()
        return found

    def address(self, instance_id: str) -> Address | None:
        """Where it answers while it runs."""
        found = self._looker.one(instance_id)
        return found.address if found is not None else None

    def stats(self, instances: Sequence[Instance]) -> Sequence[InstanceStats]:
        """What these use right now, those that run."""
        return self._usage.of(instances)

    # --- inside ------------------------------------------------------------------------------

    def _known(self, instance: Instance, call: Call) -> Seen | None:
        """Its container as it is, for who only looks; None if there is none.

        Raises:
            Conflict: It is of a later epoch.
        """
        seen = self._looker.find(instance.id, within(call))
        if seen is not None and seen.epoch > instance.epoch:
            raise passed(instance, seen.epoch)
        return seen

    def _known_container(self, instance: Instance, call: Call) -> Seen:
        """Its container, made around its volume if someone removed it."""
        seen = self._known(instance, call)
        if seen is not None:
            return seen
        with self._context.turn(instance.id, call):
            return self._maker.ensure(instance, call)

    def _observed(self, instance: Instance, seen: Seen | None) -> Observed:
        if seen is not None:
            return self._looker.observed(seen)
        marks = self._looker.volume(instance.id)
        if marks is None:
            raise absent(instance)
        # Nothing of it runs, and nothing did if there was no container before.
        return replace(without_container(marks), unchanged=True)
