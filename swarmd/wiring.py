"""How the parts are joined: together with ``daemon.py`` the composition root.

Only these two modules know which class stands behind each port.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pykka

from swarmd import __version__, configuration
from swarmd.actors.administering import Administrator
from swarmd.actors.alerts import Alerts
from swarmd.actors.base import CONTROLLER, REGISTRY, SUPERVISOR, TICKER, Context, Directory
from swarmd.actors.bridge import Bridge, Chances
from swarmd.actors.commands import ActorCommands
from swarmd.actors.controller import Controller
from swarmd.actors.fleet import Fleet
from swarmd.actors.measures import Measures
from swarmd.actors.metering import Metering
from swarmd.actors.monitors import Monitors
from swarmd.actors.published import News, Published
from swarmd.actors.query import SnapshotQuery
from swarmd.actors.reconciler import Reconciler
from swarmd.actors.registry import Registry
from swarmd.actors.supervisor import Child, Family
from swarmd.actors.ticker import Rhythms, Ticker
from swarmd.actors.uploads import Spool
from swarmd.actors.uses import Outlooks, RunningCommands
from swarmd.actors.watching import Watching
from swarmd.api import ApiServer
from swarmd.chance import boot_id, marks, new_id, new_password
from swarmd.core.housekeeping import wanted_uploads
from swarmd.core.providers import merge_records
from swarmd.core.tables import Change, EventDraft, ProviderView, Tables
from swarmd.errors import SwarmError
from swarmd.exposition.endpoint import Endpoint
from swarmd.messages.config import Config, Places
from swarmd.messages.enums import DaemonState, EventType
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from swarmd.messages.replies import ReloadReport
from swarmd.messages.state import LoadedState
from swarmd.messages.telemetry import SwarmMetrics
from swarmd.ports import Provider, Store
from swarmd.probing.prober import Prober
from swarmd.settings import controller_settings, placement_rules, request_settings, table_of
from swarmd.sinks import make_sinks
from swarmd.store import FileStore

log = logging.getLogger("swarmd")

RHYTHM_SECONDS = 0.5
STORE_SECONDS = 20.0


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Seams:
    """Where tests put something between the parts.

    Args:
        fault: Called before each message of each actor; it may raise.
        wrap_provider: Put around each adapter.
        wrap_store: Put around the store.
    """

    fault: Callable[[str, object], None] | None = None
    wrap_provider: Callable[[Provider], Provider] = lambda provider: provider
    wrap_store: Callable[[Store], Store] = lambda store: store


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the socket may ask of the daemon itself."""

    condition: Callable[[], tuple[DaemonState, tuple[str, ...]]]
    reload: Callable[[], Awaitable[ReloadReport]]
    shutdown: Callable[[], None]


class Wiring:
    """Everything but life: opened and joined, not yet running.

    Args:
        config: The configuration now; asked anew each time.
        places: The directories and the socket.

    Raises:
        StateError: The state directory cannot be used.
    """

    def __init__(self, config: Callable[[], Config], places: Places, seams: Seams) -> None:
        self._config = config
        self._places = places
        self._seams = seams
        self.clock = SystemClock()
        self.started_at = self.clock.now()
        self.rhythms = Rhythms(dict.fromkeys((SUPERVISOR, CONTROLLER, REGISTRY), RHYTHM_SECONDS))
        self.family = Family()
        self.directory = Directory()
        self.running = RunningCommands()
        self.outlooks = Outlooks()
        self.context = (
            Context(self.directory, self.clock, seams.fault)
            if seams.fault
            else Context(self.directory, self.clock)
        )
        self._open()

    def _open(self) -> None:
        config = self._config()
        store = FileStore(
            Path(self._places.state),
            clock=self.clock,
            journal_config=config.journal,
            operations_kept=config.instances.operations_kept,
            story_length=config.instances.story_length,
            metrics_files=config.telemetry.files,
            new_id=new_id,
        )
        state = store.open(set_aside=not config.daemon.load_state_on_startup)
        self.store: Store = self._seams.wrap_store(store)
        try:
            self._build(state)
        except BaseException:
            store.close(time.monotonic() + STORE_SECONDS)
            raise

    def _build(self, state: LoadedState) -> None:
        self.node = state.node
        self.first_events = tuple(
            EventDraft(EventType.FILE_QUARANTINED, data={"file": line})
            for line in state.quarantined
        )
        records = merge_records(self._config().providers, state.providers)
        tables = Tables.build(
            state.instances, state.operations, records, state.last_seq, state.alerts
        )
        self.published = Published(tables, state.journal)
        self.store.snapshot_rows(lambda: table_of(self.published.tables))
        self.spool = Spool(Path(self._places.state) / "uploads", new_id)
        self.spool.prepare(wanted_uploads(tables))
        self.published.listen(self._note_uploads)
        self.measures = Measures(lambda: self.published.tables.instances)
        self.fleet = Fleet(
            context=self.context,
            family=self.family,
            rhythms=self.rhythms,
            uploads=self.spool,
            make=self._provider_of,
            look_every=lambda: self._config().daemon.observe_interval,
            monitors=self._monitors(),
            breaker=lambda: self._config().breaker,
        )
        self.metering = self._metering()
        self.alerts = self._alerts(state.last_seq)
        self._add_children(tables)

    @property
    def _directories(self) -> tuple[tuple[str, Path], ...]:
        """The daemon's own."""
        return ("state", Path(self._places.state)), ("data", Path(self._places.data))

    def _alerts(self, last_seq: int) -> Alerts:
        return Alerts(
            context=self.context,
            family=self.family,
            rhythms=self.rhythms,
            published=self.published,
            make_sinks=lambda config: make_sinks(config, self.node.id),
            places=self._directories,
            settings=lambda: self._config().alerting,
            health=lambda: self._config().health,
            new_id=new_id,
            last_seq=last_seq,
        )

    def _metering(self) -> Metering:
        return Metering(
            context=self.context,
            family=self.family,
            rhythms=self.rhythms,
            published=self.published,
            store=self.store,
            settings=lambda: self._config().telemetry,
            health=lambda: self._config().health.enabled,
            render=prometheus_text,
        )

    def _monitors(self) -> Monitors:
        return Monitors(
            context=self.context,
            family=self.family,
            rhythms=self.rhythms,
            published=self.published,
            store=self.store,
            probe=Prober(),
            settings=lambda: self._config().health,
            instances=lambda: self._config().instances,
            new_id=new_id,
            boot=boot_id(),
            commands=self.running,
            outlooks=self.outlooks,
            measures=self.measures,
        )

    def _note_uploads(self, news: News) -> None:
        """On the registry's thread: an archive may go once its import has ended."""
        for operation_id in news.operations:
            operation = news.tables.operations.get(operation_id)
            if operation is not None and operation.state.ended:
                self.spool.used(operation.arguments.get("upload"))

    # --- actors ------------------------------------------------------------------------------

    def _add_children(self, tables: Tables) -> None:
        add = self.family.add
        add(Child(TICKER, self._ticker, vital=True))
        add(Child(REGISTRY, self._registry, also=(CONTROLLER,), vital=True))
        for record in sorted(tables.providers.values(), key=lambda each: each.name):
            if record.enabled:
                self._add_provider(record)
        add(Child(CONTROLLER, self._controller, vital=True))
        self.alerts.start()
        # The last to start is the first to end: its last sample still finds the registry.
        if (telemetry := self.metering.child()) is not None:
            add(telemetry)

    def _add_provider(self, record: ProviderRecord) -> None:
        try:
            for child in self.fleet.children(record):
                self.family.add(child)
        except SwarmError as error:
            # One provider that cannot be made must not keep the others from running.
            log.error("provider %s cannot be made: %s", record.name, error)  # noqa: TRY400
            view = ProviderView(ProviderHealth(ok=False, message=error.message))
            tables = self.published.tables.apply(Change(views={record.name: view}))
            self.published.publish(News(tables, (), ()))

    def _provider_of(self, record: ProviderRecord) -> Provider:
        config = self._config()
        daemon = msgspec.structs.replace(
            config.daemon,
            state_dir=self._places.state,
            data_dir=self._places.data,
            server_dir=self._places.server,
            socket=self._places.socket,
        )
        resolved = msgspec.structs.replace(config, daemon=daemon)
        factory = configuration.load_factory(record.type)
        made = factory.make(record, resolved, self.node, self.clock)
        return self._seams.wrap_provider(made)

    def _ticker(self, generation: int) -> pykka.ActorRef[Any]:
        return Ticker.start(self.context, TICKER, generation, self.rhythms)

    def _registry(self, generation: int) -> pykka.ActorRef[Any]:
        return Registry.start(
            self.context,
            REGISTRY,
            generation,
            store=self.store,
            published=self.published,
            providers_of=lambda saved: merge_records(self._config().providers, saved),
        )

    def _controller(self, generation: int) -> pykka.ActorRef[Any]:
        return Controller.start(
            self.context,
            CONTROLLER,
            generation,
            published=self.published,
            lanes_of=self.fleet.lanes_of,
            reconciler=self._reconciler,
            settings=controller_settings(self._config()),
        )

    def _reconciler(self, accepted: Callable[[Any], None]) -> Reconciler:
        return Reconciler(
            directory=self.directory,
            published=self.published,
            clock=self.clock,
            node=self.node.id,
            new_id=new_id,
            accepted=accepted,
        )

    # --- the socket --------------------------------------------------------------------------

    def make_api(self, hooks: Hooks) -> ApiServer:
        """Build what faces the socket. Called on its loop."""
        self.query = SnapshotQuery(
            published=self.published,
            store=self.store,
            directory=self.directory,
            family=self.family,
            node=self.node.id,
            started_at=self.started_at,
            state=hooks.condition,
            rules=lambda: placement_rules(self._config()),
            health=lambda: self._config().health.enabled,
            idle=self.outlooks.get,
            measures=self.measures,
            alerts=self.alerts,
        )
        self.bridge = Bridge(
            directory=self.directory,
            published=self.published,
            clock=self.clock,
            chances=Chances(new_id, new_password),
            node=self.node.id,
            settings=lambda: request_settings(self._config()),
        )
        self.endpoint = Endpoint(self._metrics_text)
        self.commands = self._make_commands(hooks)
        return ApiServer(
            self.query,
            self.commands,
            socket_path=Path(self._places.socket),
            socket_group=self._config().access.socket_group,
            version=__version__,
            clock=self.clock,
            new_id=marks(),
        )

    async def _metrics_text(self, accept: str) -> tuple[bytes, str]:
        return await self.commands.metrics_text(accept)

    def _make_commands(self, hooks: Hooks) -> ActorCommands:
        watching = Watching(
            fleet=self.fleet,
            published=self.published,
            directory=self.directory,
            family=self.family,
            places=self._directories,
            problems=self.store.problems,
            insecure=lambda: self._config().daemon.insecure,
            health=lambda: self._config().health,
            commands=self.running,
            endpoint_error=lambda: self.endpoint.problem,
            sinks=self.alerts.infos,
        )
        self.administrator = Administrator(
            bridge=self.bridge,
            fleet=self.fleet,
            family=self.family,
            published=self.published,
            clock=self.clock,
            node=self.node.id,
            types=configuration.provider_types(),
            check_options=configuration.check_provider_options,
            pool=watching.short,
        )
        return ActorCommands(
            bridge=self.bridge,
            administrator=self.administrator,
            watching=watching,
            metering=self.metering,
            spool=self.spool,
            alerts=self.alerts,
            reload=hooks.reload,
            shutdown=hooks.shutdown,
        )


def prometheus_text(sample: SwarmMetrics, accept: str) -> tuple[bytes, str]:
    """A sample for Prometheus; its library is loaded when somebody first asks for it."""
    from swarmd.exposition.prometheus import render

    return render(sample, accept, __version__)
