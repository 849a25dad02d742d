"""The composition root: the only module that joins actors, providers, store and socket."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pykka

from swarmd import __version__, configuration
from swarmd.actors.base import (
    CONTROLLER,
    REGISTRY,
    SUPERVISOR,
    TICKER,
    Context,
    Directory,
    Start,
)
from swarmd.actors.bridge import Bridge, Chances, RequestSettings
from swarmd.actors.commands import ActorCommands
from swarmd.actors.controller import Controller, NewSettings, Settings
from swarmd.actors.fleet import Fleet
from swarmd.actors.published import News, Published
from swarmd.actors.query import SnapshotQuery
from swarmd.actors.reconciler import Reconciler
from swarmd.actors.registry import Registry, Transact
from swarmd.actors.supervisor import Child, Family, Supervisor, stop_all
from swarmd.actors.ticker import Rhythms, Ticker
from swarmd.actors.uploads import Spool
from swarmd.api import ApiServer
from swarmd.chance import new_id, new_password
from swarmd.configuration import LoadedConfig
from swarmd.core.condition import Condition, condition_of
from swarmd.core.providers import merge_records
from swarmd.core.tables import Change, EventDraft, ProviderView, Tables
from swarmd.errors import SwarmError
from swarmd.messages import codec
from swarmd.messages.enums import DaemonState, EventType
from swarmd.messages.events import TableRow
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Caller
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from swarmd.messages.replies import ReloadReport
from swarmd.messages.requests import AdoptStray
from swarmd.messages.state import LoadedState
from swarmd.ports import Provider, Store
from swarmd.store import FileStore

log = logging.getLogger("swarmd")

_ACTOR_SECONDS = 5.0
_LANES_SECONDS = 5.0
_STORE_SECONDS = 20.0
_API_SECONDS = 5.0
_RHYTHM_SECONDS = 0.5
_SELF = Caller(name="swarmd", uid=0, gid=0, pid=0)


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class Daemon:
    """One daemon, from its state directory to its socket.

    Args:
        loaded: The configuration and the places.
        load: Reads the configuration again, for reload.
        fault: Called before each message of each actor; tests raise from it.
        wrap_provider: Tests put something between the actors and an adapter.
        wrap_store: Likewise for the store.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        *,
        load: Callable[[], LoadedConfig],
        fault: Callable[[str, object], None] | None = None,
        wrap_provider: Callable[[Provider], Provider] = lambda provider: provider,
        wrap_store: Callable[[Store], Store] = lambda store: store,
    ) -> None:
        self.config = loaded.config
        self.places = loaded.places
        self._load = load
        self._wrap_provider = wrap_provider
        self._wrap_store = wrap_store
        self._clock = SystemClock()
        self._started_at = self._clock.now()
        self._fatal: str | None = None
        self._ending = False
        self._end: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shown: Condition | None = None
        self._rhythms = Rhythms(dict.fromkeys((SUPERVISOR, CONTROLLER, REGISTRY), _RHYTHM_SECONDS))
        self.family = Family()
        self.directory = Directory()
        self._context = (
            Context(self.directory, self._clock, fault)
            if fault
            else Context(self.directory, self._clock)
        )

    # --- life --------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None] = lambda: None) -> int:
        """Run until told to end; the exit code.

        Args:
            started: Called once the socket answers.

        Raises:
            InitializationError: It cannot start; ``next_step`` says what to do.
        """
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        store = self._open_store()
        try:
            await self._serve(started)
        finally:
            store.close(time.monotonic() + _STORE_SECONDS)
        if self._fatal is not None:
            log.critical("ended: %s; instances keep running", self._fatal)
            return 1
        log.info("ended; instances keep running")
        return 0

    async def _serve(self, started: Callable[[], None]) -> None:
        api = self._make_api()
        self._start_supervisor(1)
        try:
            await api.start()
            log.info("swarmd %s answers at %s", __version__, self.places.socket)
            started()
            await self._watch()
        finally:
            self._ending = True
            self._bridge.end_subscriptions()
            await api.close(_API_SECONDS)
            self._commands.close()
            await asyncio.to_thread(self._stop_actors)

    def _stop_actors(self) -> None:
        """In reverse order of their start, each with a deadline; instances keep running."""
        supervisor = self.directory.get(SUPERVISOR)
        if supervisor is not None and supervisor.is_alive():
            try:
                supervisor.stop(block=True, timeout=_ACTOR_SECONDS)
            except pykka.Timeout:
                log.error("the supervisor does not end")  # noqa: TRY400
        for name in stop_all(self.family, self.directory, _ACTOR_SECONDS):
            log.error("actor %s does not end", name)
        self.fleet.close(_LANES_SECONDS)

    def shutdown(self) -> None:
        """Begin to end. Called on the loop."""
        if self._end is not None:
            self._end.set()

    def _give_up(self, reason: str) -> None:
        """On the supervisor's thread: a vital actor could not be kept alive."""
        self._fatal = reason
        if self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)

    # --- building ----------------------------------------------------------------------------

    def _open_store(self) -> Store:
        instances = self.config.instances
        store = FileStore(
            Path(self.places.state),
            clock=self._clock,
            journal_config=self.config.journal,
            operations_kept=instances.operations_kept,
            story_length=instances.story_length,
            new_id=new_id,
        )
        state = store.open(set_aside=not self.config.daemon.load_state_on_startup)
        self.store: Store = self._wrap_store(store)
        try:
            self._build(state)
        except BaseException:
            store.close(time.monotonic() + _STORE_SECONDS)
            raise
        return self.store

    def _build(self, state: LoadedState) -> None:
        self.node = state.node
        records = merge_records(self.config.providers, state.providers)
        tables = Tables.build(state.instances, state.operations, records, state.last_seq)
        self.published = Published(tables, state.journal)
        self.store.snapshot_rows(
            lambda: [row_of(row) for row in self.published.tables.instances.values()]
        )
        self._spool = Spool(Path(self.places.state) / "uploads", new_id)
        self._spool.prepare(wanted_uploads(tables))
        self.published.listen(self._forget_uploads)
        self.fleet = Fleet(
            context=self._context,
            family=self.family,
            rhythms=self._rhythms,
            uploads=self._spool,
            make=self._provider_of,
            look_every=lambda: self.config.daemon.observe_interval,
        )
        self._add_children(tables)

    def _add_children(self, tables: Tables) -> None:
        add = self.family.add
        add(Child(TICKER, self._ticker, vital=True))
        add(Child(REGISTRY, self._registry, also=(CONTROLLER,), vital=True))
        for record in sorted(tables.providers.values(), key=lambda each: each.name):
            if record.enabled:
                self._add_provider(record)
        add(Child(CONTROLLER, self._controller, vital=True))

    def _add_provider(self, record: ProviderRecord) -> None:
        try:
            self.family.add(self.fleet.child(record))
        except SwarmError as error:
            # One provider that cannot be made must not keep the others from running.
            log.error("provider %s cannot be made: %s", record.name, error)  # noqa: TRY400
            view = ProviderView(ProviderHealth(ok=False, message=error.message))
            tables = self.published.tables.apply(Change(views={record.name: view}))
            self.published.publish(News(tables, (), ()))

    def _provider_of(self, record: ProviderRecord) -> Provider:
        daemon = msgspec.structs.replace(
            self.config.daemon,
            state_dir=self.places.state,
            data_dir=self.places.data,
            server_dir=self.places.server,
            socket=self.places.socket,
        )
        resolved = msgspec.structs.replace(self.config, daemon=daemon)
        factory = configuration.load_factory(record.type)
        return self._wrap_provider(factory.make(record, resolved, self.node, self._clock))

    def _start_supervisor(self, generation: int) -> None:
        supervisor = Supervisor.start(
            self._context, SUPERVISOR, generation, family=self.family, fatal=self._give_up
        )
        self.directory.put(SUPERVISOR, supervisor, Start())

    def _ticker(self, generation: int) -> pykka.ActorRef[Any]:
        return Ticker.start(self._context, TICKER, generation, self._rhythms)

    def _registry(self, generation: int) -> pykka.ActorRef[Any]:
        return Registry.start(
            self._context,
            REGISTRY,
            generation,
            store=self.store,
            published=self.published,
            providers_of=lambda saved: merge_records(self.config.providers, saved),
        )

    def _controller(self, generation: int) -> pykka.ActorRef[Any]:
        return Controller.start(
            self._context,
            CONTROLLER,
            generation,
            published=self.published,
            lanes_of=self.fleet.lanes_of,
            reconciler=self._reconciler,
            settings=self._controller_settings(),
        )

    def _reconciler(self, accepted: Callable[[Any], None]) -> Reconciler:
        return Reconciler(
            directory=self.directory,
            published=self.published,
            clock=self._clock,
            node=self.node.id,
            new_id=new_id,
            accepted=accepted,
        )

    def _make_api(self) -> ApiServer:
        self._query = SnapshotQuery(
            published=self.published,
            store=self.store,
            directory=self.directory,
            family=self.family,
            node=self.node.id,
            started_at=self._started_at,
            state=self.condition,
        )
        self._bridge = Bridge(
            directory=self.directory,
            published=self.published,
            clock=self._clock,
            chances=Chances(new_id, new_password),
            node=self.node.id,
            settings=self._request_settings,
        )
        self._commands = self._make_commands()
        return ApiServer(
            self._query,
            self._commands,
            socket_path=Path(self.places.socket),
            socket_group=self.config.access.socket_group,
            version=__version__,
            clock=self._clock,
            new_id=new_id,
        )

    def _make_commands(self) -> ActorCommands:
        return ActorCommands(
            bridge=self._bridge,
            fleet=self.fleet,
            published=self.published,
            directory=self.directory,
            family=self.family,
            spool=self._spool,
            clock=self._clock,
            node=self.node.id,
            types=configuration.provider_types(),
            check_options=configuration.check_provider_options,
            places=(("state", Path(self.places.state)), ("data", Path(self.places.data))),
            problems=self.store.problems,
            insecure=lambda: self.config.daemon.insecure,
            reload=self.reload,
            shutdown=self.shutdown,
        )

    # --- settings and reload -----------------------------------------------------------------

    def _controller_settings(self) -> Settings:
        return Settings(
            reconcile_interval=self.config.daemon.reconcile_interval,
            trash_retention=self.config.instances.trash_retention,
            operation_timeout=self.config.instances.operation_timeout,
            operations_kept=self.config.instances.operations_kept,
        )

    def _request_settings(self) -> RequestSettings:
        return RequestSettings(
            operation_timeout=self.config.instances.operation_timeout,
            default_provider=self.config.daemon.default_provider,
            insecure=self.config.daemon.insecure,
        )

    async def reload(self) -> ReloadReport:
        """Read the configuration again; apply what can change live.

        Raises:
            ConfigError: The new one is wrong; the old one stays in force.
        """
        loaded = await asyncio.to_thread(self._load)
        decision = configuration.diff(self.config, loaded.config)
        self.config = configuration.apply(self.config, loaded.config, decision)
        logging.getLogger().setLevel(self.config.logging.level.upper())
        self.directory.tell(CONTROLLER, NewSettings(self._controller_settings()))
        self.store.configure(
            journal=self.config.journal,
            operations_kept=self.config.instances.operations_kept,
            story_length=self.config.instances.story_length,
        )
        await self._reload_providers(decision.applied)
        facts = {"applied": decision.applied, "restart_required": decision.restart_required}
        event = EventDraft(EventType.CONFIG_RELOADED, data=facts)
        self.directory.tell(REGISTRY, Transact(lambda _tables: (Change(events=(event,)), None)))
        log.info("reloaded: %s", facts)
        return ReloadReport(applied=decision.applied, restart_required=decision.restart_required)

    async def reload_on_signal(self) -> None:
        """SIGHUP: a wrong file is told and changes nothing."""
        try:
            await self.reload()
        except SwarmError as error:
            log.error("not reloaded: %s %s", error, error.next_step or "")  # noqa: TRY400

    async def _reload_providers(self, applied: tuple[str, ...]) -> None:
        """Write what the file now says, then start those anew whose making it changed."""
        configured = self.config.providers

        def decide(tables: Tables) -> tuple[Change, tuple[str, ...]]:
            before = tables.providers
            after = merge_records(configured, tuple(before.values()))
            names = {record.name for record in after}
            gone = [name for name in before if name not in names]
            views: dict[str, ProviderView | None] = dict.fromkeys(gone)
            changed = tuple(r.name for r in after if before.get(r.name) != r)
            return Change(providers=after, views=views), (*changed, *gone)

        touched = set(await self._bridge.transact(decide))
        if any(key.startswith("instances.") for key in applied):
            # Adapters read these settings when they are made.
            touched |= {member.record.name for member in self.fleet.members()}
        for name in sorted(touched):
            try:
                await self._commands.restart_provider(name)
            except SwarmError as error:
                # It is shown as not working; the others are still to follow the file.
                log.error("provider %s cannot be started anew: %s", name, error)  # noqa: TRY400

    # --- watching ----------------------------------------------------------------------------

    def condition(self) -> tuple[DaemonState, tuple[str, ...]]:
        """The daemon's state, and why."""
        found = condition_of(
            self.published.tables,
            actors=self.family.infos(self.directory),
            write_error=self.published.write_error,
            fatal=self._fatal,
            ending=self._ending,
        )
        return found.state, found.reasons

    async def _watch(self) -> None:
        """Until the end: keep the supervisor alive, tell changes of state, save the status."""
        assert self._end is not None
        saved, generation = 0.0, 1
        adopting = set(self.published.tables.providers)
        if self.config.daemon.load_state_on_startup:
            adopting = set()
        while not self._end.is_set():
            supervisor = self.directory.get(SUPERVISOR)
            if supervisor is None or not supervisor.is_alive():
                generation += 1
                log.error("the supervisor is started anew (%d)", generation - 1)
                self._start_supervisor(generation)
            self._show_condition()
            if time.monotonic() - saved >= self.config.daemon.auto_save_interval:
                saved = time.monotonic()
                self._save_status()
            for name in sorted(adopting):
                view = self.published.tables.views.get(name)
                if view is not None and view.health.ok:
                    adopting.remove(name)
                    await self._adopt_own(name)
            try:
                async with asyncio.timeout(_RHYTHM_SECONDS):
                    await self._end.wait()
            except TimeoutError:
                continue

    def _show_condition(self) -> None:
        state, reasons = self.condition()
        now = Condition(state, reasons)
        if now == self._shown:
            return
        self._shown = now
        log.info("the daemon is %s%s", state, f": {'; '.join(reasons)}" if reasons else "")
        facts = {"state": str(state), "reasons": list(reasons)}
        event = EventDraft(EventType.DAEMON_STATE_CHANGED, data=facts)
        self.directory.tell(REGISTRY, Transact(lambda _tables: (Change(events=(event,)), None)))

    def _save_status(self) -> None:
        self.store.save_status(codec.encode(self._query.status(_SELF)))

    async def _adopt_own(self, provider: str) -> None:
        """``load_state_on_startup = false``: take back what carries this node's marks.

        Once for each provider, when it has first answered: what it has was listed before that.
        """
        for stray in self.published.tables.strays:
            if stray.node != self.node.id or stray.provider != provider:
                continue
            request = AdoptStray(id=stray.id, provider=stray.provider)
            try:
                await self._commands.administer(_SELF, request)
            except SwarmError as error:
                log.warning("%s could not be adopted: %s", stray.id, error)

    def _forget_uploads(self, news: News) -> None:
        """An archive goes once its import has ended."""
        for operation_id in news.operations:
            operation = news.tables.operations.get(operation_id)
            if operation is not None and operation.state.ended:
                upload = operation.arguments.get("upload")
                if upload:
                    self._spool.remove(upload)


def row_of(instance: Instance) -> TableRow:
    """An instance in the table that opens a journal segment."""
    return TableRow(
        id=instance.id,
        owner=instance.owner,
        name=instance.name,
        provider=instance.provider,
        desired=instance.desired,
        status=instance.status,
        health=instance.health,
    )


def wanted_uploads(tables: Tables) -> frozenset[str]:
    """Uploads that an import under way still needs."""
    active = (tables.operations[each] for ids in tables.active.values() for each in ids)
    wanted = (operation.arguments.get("upload") for operation in active)
    return frozenset(each for each in wanted if each)
