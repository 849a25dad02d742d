"""The daemon's life: start, serve, watch, reload, end. ``wiring.py`` joins its parts."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable

import pykka

from swarmd import __version__, configuration
from swarmd.actors.base import CONTROLLER, REGISTRY, SUPERVISOR, Start
from swarmd.actors.controller import NewSettings
from swarmd.actors.registry import Transact
from swarmd.actors.supervisor import Supervisor, stop_all
from swarmd.configuration import LoadedConfig
from swarmd.core.condition import Condition, condition_of
from swarmd.core.housekeeping import wanted_uploads
from swarmd.core.providers import reload_records
from swarmd.core.tables import Change, EventDraft
from swarmd.errors import SwarmError
from swarmd.memory import give_back
from swarmd.messages import codec
from swarmd.messages.enums import DaemonState, EventType
from swarmd.messages.operation import Caller
from swarmd.messages.replies import ReloadReport
from swarmd.messages.requests import AdoptStray
from swarmd.ports import Provider, Store
from swarmd.settings import controller_settings
from swarmd.wiring import (
    RHYTHM_SECONDS,
    STORE_SECONDS,
    Hooks,
    Seams,
    Wiring,
)

log = logging.getLogger("swarmd")

_ACTOR_SECONDS = 5.0
_LANES_SECONDS = 5.0
_API_SECONDS = 5.0
TRIM_SECONDS = 30.0
_READ_BY_ADAPTERS = frozenset(
    {"instances.start_timeout", "instances.stop_grace", "daemon.insecure"}
)
_SELF = Caller(name="swarmd", uid=0, gid=0, pid=0)


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
        self._seams = Seams(fault, wrap_provider, wrap_store)
        self._fatal: str | None = None
        self._ending = False
        self._end: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shown: Condition | None = None
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life --------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None] = lambda: None) -> int:
        """Run until told to end; the exit code.

        Args:
            started: Called once the socket answers.

        Raises:
            InitializationError: It cannot start; ``next_step`` says what to do.
        """
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.parts = Wiring(lambda: self.config, self.places, self._seams)
        # The records of a start live long: the collector need not look at them again.
        gc.freeze()
        try:
            await self._serve(started)
        finally:
            self.parts.store.close(time.monotonic() + STORE_SECONDS)
        if self._fatal is not None:
            log.critical("ended: %s; instances keep running", self._fatal)
            return 1
        log.info("ended; instances keep running")
        return 0

    async def _serve(self, started: Callable[[], None]) -> None:
        hooks = Hooks(condition=self.condition, reload=self.reload, shutdown=self.shutdown)
        api = self.parts.make_api(hooks)
        self._start_supervisor(1)
        if self.parts.first_events:
            self._tell_events(*self.parts.first_events)
        try:
            await api.start()
            log.info("swarmd %s answers at %s", __version__, self.places.socket)
            started()
            await self._watch()
        finally:
            self._ending = True
            await self.parts.endpoint.close()
            self.parts.bridge.end_subscriptions()
            await api.close(_API_SECONDS)
            self.parts.commands.close()
            await asyncio.to_thread(self._stop_actors)
            self._save_status()

    def _stop_actors(self) -> None:
        """In reverse order of their start, each with a deadline; instances keep running."""
        directory, family = self.parts.directory, self.parts.family
        supervisor = directory.get(SUPERVISOR)
        if supervisor is not None and supervisor.is_alive():
            try:
                supervisor.stop(block=True, timeout=_ACTOR_SECONDS)
            except pykka.Timeout:
                log.error("the supervisor does not end")  # noqa: TRY400
        for name in stop_all(family, directory, _ACTOR_SECONDS):
            log.error("actor %s does not end", name)
        self.parts.alerts.close()
        self.parts.fleet.close(_LANES_SECONDS)

    def shutdown(self) -> None:
        """Begin to end. Called on the loop."""
        if self._end is not None:
            self._end.set()

    def _give_up(self, reason: str) -> None:
        """On the supervisor's thread: a vital actor could not be kept alive."""
        self._fatal = reason
        if self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)

    def _start_supervisor(self, generation: int) -> None:
        supervisor = Supervisor.start(
            self.parts.context,
            SUPERVISOR,
            generation,
            family=self.parts.family,
            fatal=self._give_up,
        )
        self.parts.directory.put(SUPERVISOR, supervisor, Start())

    # --- reload ------------------------------------------------------------------------------

    async def reload(self) -> ReloadReport:
        """Read the configuration again; apply what can change live.

        Raises:
            ConfigError: The new one is wrong; the old one stays in force.
        """
        async with self._reloading:
            loaded = await asyncio.to_thread(self._load)
            decision = configuration.diff(self.config, loaded.config)
            self.config = configuration.apply(self.config, loaded.config, decision)
            self._apply_settings()
            await self._reload_providers(decision.applied)
        facts = {"applied": decision.applied, "restart_required": decision.restart_required}
        self._tell_events(EventDraft(EventType.CONFIG_RELOADED, data=facts))
        log.info("reloaded: %s", facts)
        return ReloadReport(applied=decision.applied, restart_required=decision.restart_required)

    def reload_on_signal(self) -> None:
        """SIGHUP: a wrong file is told and changes nothing."""
        task = asyncio.get_running_loop().create_task(self._reload_quietly())
        # The loop itself keeps only a weak reference.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except SwarmError as error:
            log.error("not reloaded: %s %s", error, error.next_step or "")  # noqa: TRY400
        except Exception:
            log.exception("not reloaded")

    def _apply_settings(self) -> None:
        logging.getLogger().setLevel(self.config.logging.level.upper())
        settings = controller_settings(self.config)
        self.parts.directory.tell(CONTROLLER, NewSettings(settings))
        self.parts.alerts.follow()
        self.parts.store.configure(
            journal=self.config.journal,
            operations_kept=self.config.instances.operations_kept,
            story_length=self.config.instances.story_length,
            metrics_files=self.config.telemetry.files,
        )
        self.parts.metering.retime()

    async def _reload_providers(self, applied: tuple[str, ...]) -> None:
        """Write what the file now says, then start those anew whose making it changed."""
        configured = self.config.providers
        touched = set(
            await self.parts.bridge.transact(lambda tables: reload_records(tables, configured))
        )
        if not _READ_BY_ADAPTERS.isdisjoint(applied):
            # Adapters read these settings when they are made.
            touched |= {member.record.name for member in self.parts.fleet.members()}
        for name in sorted(touched):
            try:
                await self.parts.administrator.follow(name, restart=True)
            except SwarmError as error:
                # It is shown as not working; the others are still to follow the file.
                log.error("provider %s cannot be started anew: %s", name, error)  # noqa: TRY400

    # --- watching ----------------------------------------------------------------------------

    def condition(self) -> tuple[DaemonState, tuple[str, ...]]:
        """The daemon's state, and why."""
        found = condition_of(
            self.parts.published.tables,
            actors=self.parts.family.infos(self.parts.directory),
            write_error=self.parts.published.write_error,
            fatal=self._fatal,
            ending=self._ending,
            endpoint_error=self.parts.endpoint.problem,
        )
        return found.state, found.reasons

    async def _watch(self) -> None:
        """Until the end: keep the supervisor alive, tell changes of state, save the status."""
        assert self._end is not None
        saved = swept = 0.0
        generation, adopting = 1, self._to_adopt()
        while not self._end.is_set():
            supervisor = self.parts.directory.get(SUPERVISOR)
            if supervisor is None or not supervisor.is_alive():
                generation += 1
                log.error("the supervisor is started anew (%d)", generation - 1)
                self._start_supervisor(generation)
            now = time.monotonic()
            telemetry = self.config.telemetry
            await self.parts.endpoint.follow(telemetry.listen if telemetry.enabled else "", now)
            self._show_condition()
            if now - saved >= self.config.daemon.auto_save_interval:
                saved = now
                self._save_status()
            if self.parts.spool.due or now - swept >= TRIM_SECONDS:
                swept = now
                await self._sweep_uploads()
                give_back()
            await self._adopt_where_seen(adopting)
            try:
                async with asyncio.timeout(RHYTHM_SECONDS):
                    await self._end.wait()
            except TimeoutError:
                continue

    def _save_status(self) -> None:
        """``swarm-state.json`` (seed 000, section 5.1)."""
        self.parts.store.save_status(codec.encode(self.parts.query.status(_SELF)))

    async def _sweep_uploads(self) -> None:
        wanted = wanted_uploads(self.parts.published.tables)
        await self.parts.commands.run_short(lambda: self.parts.spool.sweep(wanted))

    def _show_condition(self) -> None:
        state, reasons = self.condition()
        now = Condition(state, reasons)
        if now == self._shown:
            return
        self._shown = now
        log.info("the daemon is %s%s", state, f": {'; '.join(reasons)}" if reasons else "")
        facts = {"state": str(state), "reasons": list(reasons)}
        self._tell_events(EventDraft(EventType.DAEMON_STATE_CHANGED, data=facts))

    def _tell_events(self, *events: EventDraft) -> None:
        decision = Transact(lambda _tables: (Change(events=events), None))
        self.parts.directory.tell(REGISTRY, decision)

    # --- load_state_on_startup = false ---------------------------------------------------------

    def _to_adopt(self) -> set[str]:
        """Providers whose strays of this node are to be taken back."""
        if self.config.daemon.load_state_on_startup:
            return set()
        return set(self.parts.published.tables.providers)

    async def _adopt_where_seen(self, adopting: set[str]) -> None:
        """Once for each provider, when it has first answered: its list came before that."""
        for name in sorted(adopting):
            view = self.parts.published.tables.views.get(name)
            if view is not None and view.health.ok:
                adopting.remove(name)
                await self._adopt_own(name)

    async def _adopt_own(self, provider: str) -> None:
        for stray in self.parts.published.tables.strays:
            if stray.node != self.parts.node.id or stray.provider != provider:
                continue
            request = AdoptStray(id=stray.id, provider=stray.provider)
            try:
                await self.parts.commands.administer(_SELF, request)
            except SwarmError as error:
                log.warning("%s could not be adopted: %s", stray.id, error)
