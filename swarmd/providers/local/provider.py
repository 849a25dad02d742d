"""The provider itself: ``swarmd.ports.Provider`` for processes of this host (issue 2, part 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from swarmd.errors import (
    Conflict,
    InitializationError,
    InstanceNotFound,
    ProviderError,
    ProviderUnreachable,
    SwarmError,
    Unavailable,
    ValidationError,
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
from swarmd.providers.local import capabilities, commands, server, validation
from swarmd.providers.local.cgroup_probe import probe
from swarmd.providers.local.context import Context, nothing
from swarmd.providers.local.data import archive, logview, usage
from swarmd.providers.local.data.layout import Layout
from swarmd.providers.local.data.sweeping import Sweeper
from swarmd.providers.local.endings import Endings
from swarmd.providers.local.identity import is_alive
from swarmd.providers.local.launcher import Launch
from swarmd.providers.local.maker import Maker
from swarmd.providers.local.observe import DiskUsage, Observer, address_of
from swarmd.providers.local.options import data_dir, read_options, server_dir
from swarmd.providers.local.record import Index, LocalRecord, is_same_life
from swarmd.providers.local.runner import Runner
from swarmd.providers.local.upkeep import LogKeeper
from swarmd.providers.shared import account as accounts
from swarmd.providers.shared.answer import Asker, Ended, Endpoint
from swarmd.providers.shared.commands import check as check_command
from swarmd.providers.shared.faults import os_faults
from swarmd.providers.shared.portbook import PortBook
from swarmd.providers.shared.rights import account_of, as_account

_UPKEEP_SECONDS = 2.0
_CHECK_SECONDS = 5.0


class LocalProvider:
    """VS Code as processes of this host.

    Args:
        record: Its name and options.
        config: For places, start timeout, stop grace and ``insecure``.
        node: This daemon.
        clock: Time.
        step: Told at each point where the state outside has changed (for tests of kill -9).
    """

    def __init__(
        self,
        record: ProviderRecord,
        config: Config,
        node: Node,
        clock: Clock,
        *,
        step: Callable[[str], None] = nothing,
    ) -> None:
        self._name = record.name
        options = read_options(record.options)
        layout = Layout(_place(data_dir(config.daemon.data_dir), record.name))
        self._context = Context(
            name=record.name,
            options=options,
            node=node,
            clock=clock,
            defaults=config.instances,
            layout=layout,
            index=Index(layout),
            ports=PortBook(
                options.ports, layout.private / ".ports.jsonl", lambda: clock.now().timestamp()
            ),
            server_dir=server_dir(config.daemon.server_dir),
            endings=Endings(record.name),
            insecure=config.daemon.insecure,
            step=step,
        )
        self._runner = Runner(self._context)
        self._maker = Maker(self._context, self._runner)
        self._observer = Observer(self._context, self._runner)
        self._disk = DiskUsage(lambda found: usage.disk_usage(layout.instance(found)))
        self._keeper = LogKeeper(self._context, _UPKEEP_SECONDS)
        self._sweeper = Sweeper(layout)
        self._capabilities: Capabilities | None = None

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    @property
    def type(self) -> str:
        """``local``."""
        return "local"

    # --- the provider ------------------------------------------------------------------------

    def initialize(self) -> None:
        """Read what is there, and find out what this host can do."""
        context = self._context
        try:
            context.layout.prepare()
            self._sweeper.start()
            context.index.load()
        except SwarmError as error:
            raise InitializationError(
                f"provider {self._name}: {error.message}",
                field=error.field,
                next_step=error.next_step,
                details=error.details,
            ) from error
        context.ports.load({record.port: key for key, record in context.index.all().items()})
        context.groups = probe(context.mark)
        self._capabilities = self._describe()

    def capabilities(self) -> Capabilities:
        """What the last probe found out."""
        if self._capabilities is None:
            self._capabilities = self._describe()
        return self._capabilities

    def _describe(self) -> Capabilities:
        context = self._context
        return capabilities.describe(context.options, context.groups, context.layout.root)

    def probe(self) -> ProviderHealth:
        """Whether there is a code-server, an account, and a folder to write to."""
        now = self._context.clock.now()
        options = self._context.options
        try:
            found = server.find_server(options, self._context.server_dir)
            if options.run_as != accounts.OWNER:
                accounts.resolve(options.run_as, "", allow_root=options.allow_root)
            self._context.layout.prepare()
            self._runner.check_limits()
        except SwarmError as error:
            message = f"{error.message}. {error.next_step}" if error.next_step else error.message
            return ProviderHealth(
                ok=False, message=message, next_step=error.next_step, checked_at=now
            )
        message = f"{server.describe(found)}{self._troubles()}"
        return ProviderHealth(ok=True, message=message, version=found.version, checked_at=now)

    def _troubles(self) -> str:
        """What keeps nobody from working, but somebody should look at."""
        found = [
            f"{place} cannot be removed: {why}"
            for place, why in self._sweeper.problems.copy().items()
        ]
        for instance_id, why in self._keeper.problems.copy().items():
            found.append(f"the log of {instance_id} cannot be rotated: {why}")
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        return "".join(f"; {one}" for one in found[:3]) + more

    def watch(self, changed: Callable[[], None]) -> None:
        """Tell when a main process ends; of what else changes nothing is heard."""
        self._context.endings.begin(changed)
        for record in self._context.index.all().values():
            self._runner.follow(record)

    def upkeep(self, now: datetime) -> None:
        """Rotate the logs of what runs, forget old reservations, for two seconds at most."""
        del now  # reservations are kept on the provider's own clock
        self._context.ports.forget_expired()
        self._keeper.run()

    def dispose(self) -> None:
        """Let go of the children: they keep running."""
        self._context.endings.close()
        self._sweeper.close()
        for child in self._context.children.values():
            child.let_go()
        self._context.children.clear()
        if self._context.groups.hierarchies is not None:
            self._context.groups.hierarchies.tidy()

    # --- making and removing -----------------------------------------------------------------

    def validate(self, instance: Instance) -> None:
        """Refuse what cannot work here. No side effects."""
        validation.check(self._context, instance)

    def create(self, instance: Instance, call: Call) -> Observed:
        """Make everything but the running server."""
        with self._context.turn(instance.id, call), os_faults("creating the instance"):
            return self._observer.one(self._maker.create(instance, call))

    def import_data(self, instance: Instance, chunks: Iterable[bytes], call: Call) -> Observed:
        """Create it from an archive."""
        with self._context.turn(instance.id, call), os_faults("importing the instance"):
            return self._observer.one(self._maker.import_data(instance, chunks, call))

    def renew(self, instance: Instance, call: Call) -> None:
        """Nothing but a look: of a stopped instance there is only its data."""
        with self._context.turn(instance.id, call), os_faults("making the instance anew"):
            self._current(instance)

    def update(self, instance: Instance, call: Call) -> UpdateOutcome:
        """Apply the configuration: limits at once, the rest at the next start."""
        with self._context.turn(instance.id, call), os_faults("updating the instance"):
            record, waiting = self._maker.update(instance, call)
            return UpdateOutcome(self._observer.one(record), waiting)

    def trash(self, instance: Instance, call: Call) -> None:
        """Put its folder aside."""
        with self._context.turn(instance.id, call), os_faults("deleting the instance"):
            self._maker.trash(instance, call)

    def restore(self, instance: Instance, call: Call) -> Observed:
        """Take its folder out of the trash."""
        with self._context.turn(instance.id, call), os_faults("restoring the instance"):
            return self._observer.one(self._maker.restore(instance))

    def purge(self, instance: Instance, call: Call) -> None:
        """Remove everything."""
        with self._context.turn(instance.id, call), os_faults("removing the instance"):
            self._context.current(instance)
            self._maker.purge(instance.id, call)
            self._disk.forget(instance.id)

    def discard(self, stray_id: str, call: Call) -> None:
        """Remove a stray: its processes, and its data."""
        with self._context.turn(stray_id, call), os_faults("removing the stray"):
            self._maker.purge(stray_id, call)

    def export(self, instance: Instance, call: Call) -> Iterator[bytes]:
        """Its data as a tar stream."""
        record = self._known(instance)
        with os_faults("exporting the instance"):
            dirs = self._context.layout.instance(instance.id)
            if record.trashed:
                dirs = self._context.layout.trash_of(instance.id)
            account = account_of(record.uid)  # also if run_as was changed since
            outside = self._maker.workspace_of(record, account)
            return archive.export(dirs, call, account=account, workspace=outside)

    # --- running -----------------------------------------------------------------------------

    def start(self, instance: Instance, call: Call) -> Observed:
        """Start it and wait until it answers."""
        with self._context.turn(instance.id, call), os_faults("starting the instance"):
            record = self._current(instance)
            if record.trashed or not record.complete:
                raise Conflict(
                    f"{instance.ref} is {'in the trash' if record.trashed else 'not complete'}",
                    next_step="Undelete it." if record.trashed else "Create it again.",
                )
            started = self._runner.start(record, instance, call)
            return replace(self._observer.one(started), unchanged=is_same_life(record, started))

    def stop(self, instance: Instance, call: Call, *, force: bool = False) -> Observed:
        """End everything that runs in it."""
        with self._context.turn(instance.id, call), os_faults("stopping the instance"):
            record = self._current(instance)
            ran, ended = self._runner.stop(record, call, force=force)
            return replace(self._observer.one(ended), unchanged=not ran)

    def check(self, instance: Instance, call: Call) -> str:
        """Ask its server once."""
        process = self._known(instance).process
        if process is None:
            raise ProviderError(f"{instance.ref} does not run", next_step="Start it.")
        endpoint = Endpoint(process.host, process.port, process.tls)
        until = call.clock() + _CHECK_SECONDS

        def still() -> None:
            call.check()
            if call.clock() >= until:
                raise TimeoutError(f"no answer within {_CHECK_SECONDS:g} s")

        try:
            answer = Asker(endpoint, still).once()
        except (OSError, Ended) as error:
            raise ProviderUnreachable(
                f"the server of {instance.ref} does not answer",
                next_step="Look at its log (swarmctl logs), or restart it.",
                details={"cause": str(error)},
            ) from error
        if not answer.ok:
            raise ProviderError(
                f"the server of {instance.ref} answers {answer.status}",
                next_step="Look at its log (swarmctl logs), or restart it.",
                details={"cause": answer.body},
            )
        return answer.body

    def exec(self, instance: Instance, options: ExecInstance) -> Session:
        """Run a command in it, as its account, in its control groups."""
        check_command(options)
        with os_faults("starting a command"):
            return self._exec(instance, options)

    def _exec(self, instance: Instance, options: ExecInstance) -> Session:
        record = self._known(instance)
        process = record.process
        if process is None or not self._runner.is_running(record):
            raise Unavailable(
                f"{instance.ref} does not run",
                next_step=f"Start it: swarmctl start {instance.ref}.",
            )
        account = self._context.account(instance)
        dirs = self._context.layout.instance(instance.id)
        with os_faults("looking at the workspace"), as_account(account):
            folder = commands.folder_of(Path(record.folder or dirs.workspace), options.workdir)

        def launch(mark: tuple[str, str]) -> Launch:
            added = (*options.env.items(),)
            env = self._runner.environment(instance, account, added) | dict([mark])
            return Launch(
                options.command,
                folder,
                env,
                account,
                commands.PIPES,
                keep_input=True,
                groups=process.paths,
            )

        return commands.run(options, launch, instance.id, lambda: is_alive(process.identity))

    def logs(self, instance: Instance, options: LogsInstance) -> Session:
        """Open its log."""
        self._known(instance)
        if options.timestamps:
            raise ValidationError(
                "a local instance's log has no times of its own",
                field="timestamps",
                next_step="Leave it out: the server begins most of its lines with their time.",
            )
        with os_faults("reading the log"):
            return logview.open_log(self._context.layout.instance(instance.id), options)

    # --- looking -----------------------------------------------------------------------------

    def get(self, instance_id: str) -> Observed | None:
        """What is there now."""
        record = self._context.index.get(instance_id)
        if record is None:
            return None
        with os_faults("looking at the instance"):
            return self._observer.one(record, self._context.index.config(instance_id))

    def list(self) -> Sequence[Observed]:
        """Everything, in one sweep."""
        with os_faults("looking at the instances"):
            return self._observer.everything()

    def address(self, instance_id: str) -> Address | None:
        """Where it answers while it runs."""
        record = self._context.index.get(instance_id)
        with os_faults("looking at the instance"):
            if record is None or record.process is None or not self._runner.is_running(record):
                return None
            return address_of(record.process)

    def stats(self, instances: Sequence[Instance]) -> Sequence[InstanceStats]:
        """What these use right now, those that run."""
        with os_faults("looking at what the instances use"):
            return self._observer.stats(instances, datetime.now(UTC), self._disk)

    def _known(self, instance: Instance) -> LocalRecord:
        """For who only looks."""
        return self._there(self._context.known(instance), instance)

    def _current(self, instance: Instance) -> LocalRecord:
        """For who has the instance's turn."""
        return self._there(self._context.current(instance), instance)

    def _there(self, record: LocalRecord | None, instance: Instance) -> LocalRecord:
        if record is None:
            raise InstanceNotFound(
                f"provider {self._name} has no instance {instance.ref}",
                next_step="Look at swarmctl doctor: its folder may have been removed.",
            )
        return record


def _place(data: Path, name: str) -> Path:
    """DATA itself for the provider called local; a folder in it for each further one."""
    return data if name == "local" else data / f".provider-{name}"
