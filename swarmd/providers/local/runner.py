"""Starting and ending the processes of one instance."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from swarmd.errors import DeadlineExceeded, InstanceNotFound, ProviderError, ResourceLimitError
from swarmd.messages.instance import Instance
from swarmd.ports import Call
from swarmd.providers.local import cgroups, server, tree, validation
from swarmd.providers.local.context import Context
from swarmd.providers.local.data import children, extensions, folders, logs, workspace
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.local.identity import is_alive, open_pidfd
from swarmd.providers.local.launcher import Child, Launch, exit_words, spawn
from swarmd.providers.local.ports import listen
from swarmd.providers.local.record import ANYONE, LocalRecord, ProcessRecord
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.answer import Asker, Ended, Endpoint
from swarmd.providers.shared.faults import os_faults
from swarmd.providers.shared.portbook import PortTaken

_KILL_RESERVE = 3.0  # seconds kept at the end of a stop's time for what must be killed
_LOG_LINES = 20


class Runner:
    """Starts and ends trees of processes, and knows them again."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # --- looking -----------------------------------------------------------------------------

    def is_running(self, record: LocalRecord) -> bool:
        """Whether its main process runs."""
        return record.process is not None and is_alive(record.process.identity)

    def members(
        self, record: LocalRecord, table: tree.Table | None = None
    ) -> tuple[tree.Seen, ...]:
        """Every process of an instance, by any of the three ways."""
        root = record.process.identity if record.process else None
        pids = cgroups.processes(self.group_paths(record))
        uid = None if record.uid == ANYONE else record.uid
        return (table or tree.scan()).members(record.id, root, pids, uid)

    def group_paths(self, record: LocalRecord) -> tuple[Path, ...]:
        """Its control groups: those recorded with its process, and those that it would get."""
        recorded = record.process.paths if record.process else ()
        hierarchies = self._context.groups.hierarchies
        usual = hierarchies.paths(record.id) if hierarchies else ()
        return tuple(dict.fromkeys((*recorded, *usual)))

    def how_it_ended(self, record: LocalRecord) -> str | None:
        """In words, if its main process was recorded and has ended."""
        if record.process is None:
            return record.exit
        child = self._context.children.get(record.id)
        status = child.poll() if child else None
        hierarchies = self._context.groups.hierarchies
        if hierarchies and hierarchies.killed_for_memory(self.group_paths(record)):
            words = "ended" if status is None else exit_words(status)
            return f"{words} (the memory limit was reached)"
        return exit_words(status)

    def follow(self, record: LocalRecord) -> None:
        """Hear of its main process's end at once. Until it has answered, its start does."""
        if record.process is not None:
            self._context.endings.follow(record.id, record.process.identity)

    # --- preparing ---------------------------------------------------------------------------

    def prepare(self, instance: Instance, account: Account, call: Call) -> Path:
        """Folders, workspace and extensions; asked again, only what is missing.

        Returns:
            The folder that VS Code opens.
        """
        context, dirs = self._context, self._context.layout.instance(instance.id)
        folders.make(dirs, account)
        context.step("folders made")
        with children.confined(lambda: self._make_groups(instance)):
            return self._fill(instance, dirs, account, call)

    def _fill(self, instance: Instance, dirs: InstanceDirs, account: Account, call: Call) -> Path:
        context = self._context
        env = self.environment(instance, account)
        home = Path(env["HOME"])
        roots = context.options.roots
        folder = workspace.prepare(
            instance.config, dirs, roots, account, call, home=home, env=instance.config.env
        )
        context.step("workspace prepared")
        if instance.config.extensions:
            command = server.find_server(context.options, context.server_dir).command
            extensions.install(instance.config, dirs, command, env, account, call)
            context.step("extensions installed")
        return folder

    def environment(
        self, instance: Instance, account: Account, added: tuple[tuple[str, str], ...] = ()
    ) -> dict[str, str]:
        """What the instance's processes get as environment."""
        context = self._context
        dirs = context.layout.instance(instance.id)
        return server.environment(
            instance, dirs, account, context.options, mark=context.mark, added=added
        )

    # --- starting ----------------------------------------------------------------------------

    def start(self, record: LocalRecord, instance: Instance, call: Call) -> LocalRecord:
        """Start the server and wait until it answers; a running one is left as it is.

        Raises:
            ProviderError: It ended, or something it needs is missing.
            DeadlineExceeded: It did not answer in time; it runs no longer.
        """
        record = self._start(record, instance, call)
        self.follow(record)
        return record

    def _start(self, record: LocalRecord, instance: Instance, call: Call) -> LocalRecord:
        if record.process is not None and self.is_running(record):
            return record if record.process.answered else self._await(record, instance, call)
        record = self.end(record, call, grace=0.0, reason=self.how_it_ended(record))
        self._check_workspace(record, instance)
        self.check_limits()
        validation.check_exposure(self._context, instance.config)
        account = self._context.account(instance)
        found = server.find_server(self._context.options, self._context.server_dir)
        folder = self.prepare(instance, account, call)
        dirs = self._context.layout.instance(instance.id)
        server.write_config(dirs, instance.config.auth, account)
        record = self._launch(record, instance, account, found, folder, call)
        return self._await(record, instance, call)

    def _check_workspace(self, record: LocalRecord, instance: Instance) -> None:
        """Never put an empty workspace in the place of one that somebody removed.

        Raises:
            InstanceNotFound: It was there once, and is not any more.
        """
        place = self._context.layout.instance(instance.id).workspace
        if record.complete and not os.path.lexists(place):
            raise InstanceNotFound(
                f"the workspace of {instance.ref} is gone: nothing is at {place}",
                next_step=f"Bring it back from a backup; or delete it: swarmctl rm --force"
                f" {instance.ref}.",
            )

    def check_limits(self) -> None:
        """Raise ``ResourceLimitError`` if a limit is required that this host cannot enforce."""
        enforced = self._context.groups.enforced
        for name in self._context.options.require_limits:
            if name not in enforced:
                notes = "; ".join(self._context.groups.notes)
                raise ResourceLimitError(
                    f"{name} cannot be limited on this host, and require_limits names it",
                    field="require_limits",
                    next_step="Give the daemon control groups that it may write to, or take "
                    f"{name} out of require_limits.",
                    details={"cause": notes},
                )

    def _launch(
        self,
        record: LocalRecord,
        instance: Instance,
        account: Account,
        found: server.Server,
        folder: Path,
        call: Call,
    ) -> LocalRecord:
        context, dirs = self._context, self._context.layout.instance(instance.id)
        with contextlib.ExitStack() as stack, os_faults("starting code-server"):
            record, listener = self._listen(record, instance, call)
            stack.enter_context(listener)
            log = logs.open_for_append(dirs, account)
            stack.callback(os.close, log)
            groups = self._make_groups(instance)
            number = listener.fileno()
            command = server.arguments(found, instance, dirs, number, folder, context.options)
            env = self.environment(instance, account)
            launch = Launch(command, folder, env, account, (log, log), (number,), groups=groups)
            call.check()
            child = spawn(launch)
            try:
                context.step("spawned")
                process = self._describe(child, instance, record, groups)
                record = context.index.change(record, process=process, started=True, exit=None)
                context.children[record.id] = child
                context.step("recorded")
                call.check()
            except BaseException:
                child.abandon()
                raise
            child.go()
            context.step("told to go")
        return record

    def _listen(
        self, record: LocalRecord, instance: Instance, call: Call
    ) -> tuple[LocalRecord, socket.socket]:
        """At its port; at another one if somebody was quicker before it was ever served there.

        Two daemons with one range choose the same port at times, and extensions are installed
        between the choice and the first start. Later its port is known, and is kept.
        """
        context, host = self._context, self._context.host(instance.config)
        while True:
            call.check()
            try:
                return record, listen(host, record.port)
            except PortTaken:
                if record.started or validation.wanted_port(instance.config):
                    raise
            lost, port = record.port, context.ports.take(record.id, host)
            try:
                record = context.index.change(record, port=port)
            except BaseException:
                context.ports.give_back(port, record.id)
                raise
            context.ports.give_back(lost, record.id)
            context.step("port exchanged")

    def _describe(
        self, child: Child, instance: Instance, record: LocalRecord, groups: tuple[Path, ...]
    ) -> ProcessRecord:
        return ProcessRecord(
            identity=child.identity,
            epoch=instance.epoch,
            host=self._context.host(instance.config),
            port=record.port,
            tls=self._context.options.tls,
            groups=tuple(map(str, groups)),
            started_at=datetime.now(UTC).replace(microsecond=0),
        )

    def _make_groups(self, instance: Instance) -> tuple[Path, ...]:
        hierarchies = self._context.groups.hierarchies
        if hierarchies is None:
            return ()
        paths = hierarchies.make(instance.id)
        hierarchies.limit(paths, self._context.limits(instance.config))
        return paths

    # --- waiting for the first answer --------------------------------------------------------

    def _await(self, record: LocalRecord, instance: Instance, call: Call) -> LocalRecord:
        """Until it answers; if it does not, it is ended before the error goes on."""
        assert record.process is not None
        try:
            self._ask(record.process, record, instance, call)
        except BaseException:
            self.end(record, self.unhurried(), grace=0.0, reason="it never answered")
            raise
        process = _answered(record.process)
        record = self._context.index.change(record, process=process, sync=False)
        self._context.step("answered")
        return record

    def _ask(
        self, process: ProcessRecord, record: LocalRecord, instance: Instance, call: Call
    ) -> None:
        timeout = instance.config.health.start_timeout or self._context.defaults.start_timeout
        deadline = time.monotonic() + timeout

        def check() -> None:
            call.check()
            if time.monotonic() >= deadline:
                raise DeadlineExceeded(
                    f"code-server did not answer within {timeout:g} s of its start",
                    field="config.health.start_timeout",
                    next_step="Look at its log (swarmctl logs), or raise health.start_timeout.",
                    details={"cause": self.last_lines(record.id)},
                )

        watch = open_pidfd(process.identity)
        try:
            if watch is None:
                raise Ended
            Asker(Endpoint(process.host, process.port, process.tls), check, watch).until_ok()
        except Ended:
            raise self._ended_early(record) from None
        finally:
            if watch is not None:
                os.close(watch)

    def _ended_early(self, record: LocalRecord) -> ProviderError:
        child = self._context.children.get(record.id)
        if child is not None:
            child.wait(1.0)
        how = self.how_it_ended(record) or "no reason is known"
        return ProviderError(
            f"code-server ended before it answered: {how}",
            next_step="Look at its log (swarmctl logs) and correct what it complains about.",
            details={"cause": self.last_lines(record.id), "exit": how},
        )

    def last_lines(self, instance_id: str) -> str:
        """The end of an instance's log."""
        return read_last_lines(self._context.layout.instance(instance_id), _LOG_LINES)

    # --- ending ------------------------------------------------------------------------------

    def stop(self, record: LocalRecord, call: Call, *, force: bool) -> tuple[bool, LocalRecord]:
        """End everything of an instance; whether its server ran, and its record. As ``end``."""
        ran = self.is_running(record)
        grace = 0.0 if force else float(self._context.defaults.stop_grace)
        reason = "stopped" if ran else record.exit
        return ran, self.end(record, call, grace=grace, reason=reason)

    def end(
        self, record: LocalRecord, call: Call, *, grace: float, reason: str | None
    ) -> LocalRecord:
        """End everything of an instance, by any path; nothing runs when this returns.

        Args:
            record: Whose.
            call: Its cancellation ends the time of grace early, with an error.
            grace: Seconds from SIGTERM to SIGKILL, at most.
            reason: What ``exit`` says afterwards.

        Raises:
            ProviderError: Something cannot be ended.
        """
        self.end_processes(record, call, grace=grace)
        if record.process is None and record.exit == reason:
            return record
        record = self._context.index.change(record, process=None, exit=reason)
        self._context.step("end recorded")
        return record

    def end_processes(self, record: LocalRecord, call: Call, *, grace: float) -> None:
        """The same without a word in the record, for what has none or is going to lose it."""
        paths = self.group_paths(record)
        self._context.endings.forget(record.id)  # that we end it is no news
        try:
            tree.end(
                lambda: self.members(record),
                grace=min(grace, max(0.0, call.remaining - _KILL_RESERVE)),
                check=call.check,
                groups=paths,
            )
        except BaseException:
            self.follow(record)
            raise
        self._context.step("ended")
        child = self._context.children.pop(record.id, None)
        if child is not None:
            child.wait(1.0)
        cgroups.remove(paths)
        if self._context.groups.hierarchies is not None:
            self._context.groups.hierarchies.tidy()

    def unhurried(self) -> Call:
        """A call that is not cancelled and has time enough to end what was begun."""
        return Call(deadline=time.monotonic() + 30.0, clock=time.monotonic)


def read_last_lines(dirs: InstanceDirs, count: int) -> str:
    """The last lines of a log, as far as they can be read; the rotated part is left out."""
    try:
        with (dirs.log / logs.LIVE).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - (32 << 10)))
            raw = file.read().replace(b"\0", b"")
    except OSError:
        return ""
    return "\n".join(raw.decode(errors="replace").splitlines()[-count:])


def _answered(process: ProcessRecord) -> ProcessRecord:
    from msgspec.structs import replace

    return replace(process, answered=True)
