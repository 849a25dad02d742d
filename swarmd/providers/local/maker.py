"""Making, changing, putting aside and removing instances. Their processes: ``runner``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from swarmd.errors import Conflict, InstanceNotFound, ValidationError
from swarmd.messages.instance import Instance, InstanceConfig
from swarmd.ports import Call
from swarmd.providers.local import server, validation
from swarmd.providers.local.context import Context
from swarmd.providers.local.data import archive, folders, workspace
from swarmd.providers.local.ports import listen
from swarmd.providers.local.record import ANYONE, LocalRecord
from swarmd.providers.local.runner import Runner
from swarmd.providers.shared import codeserver, giturl, hostfolder
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.faults import os_faults
from swarmd.providers.shared.portbook import is_free

Fill = Callable[[Account], Path]
LIMITS = ("resources.cpu", "resources.memory", "resources.pids")


class Maker:
    """Creates and removes; every call may be repeated and completes what is there."""

    def __init__(self, context: Context, runner: Runner) -> None:
        self._context = context
        self._runner = runner

    # --- making ------------------------------------------------------------------------------

    def create(self, instance: Instance, call: Call) -> LocalRecord:
        """Folder, port, workspace, extensions."""
        return self._make(
            instance, call, lambda account: self._runner.prepare(instance, account, call)
        )

    def import_data(self, instance: Instance, chunks: Iterable[bytes], call: Call) -> LocalRecord:
        """The same, with the data of an archive."""
        context = self._context
        wanted = instance.config.workspace
        if wanted not in (None, "", "managed") and not giturl.is_url(str(wanted)):
            raise ValidationError(
                "an archive brings its workspace, so it cannot lie at a host path",
                field="config.workspace",
                next_step="Leave workspace out, and copy the files where you want them.",
            )

        def fill(account: Account) -> Path:
            dirs = context.layout.instance(instance.id)
            archive.unpack(chunks, dirs, account, call)
            context.step("unpacked")
            if wanted:  # the archive's workspace stands for the clone, even an empty one
                workspace.note_cloned(dirs)
            return self._runner.prepare(instance, account, call)

        return self._make(instance, call, fill)

    def _make(self, instance: Instance, call: Call, fill: Fill) -> LocalRecord:
        context = self._context
        record = context.current(instance)
        if record is not None and record.trashed:
            raise Conflict(
                f"{instance.ref} is in the trash",
                next_step="Undelete it, or delete it with force.",
            )
        if record is not None and record.complete:
            return record
        account = context.account(instance)
        try:
            if record is None:
                record = self._begin(instance, account)
            context.index.put_config(instance.id, instance.config)
            folder = fill(account)
            call.check()
            record = context.index.change(record, complete=True, folder=str(folder))
            context.step("completed")
            return record
        except BaseException:
            self._undo(instance.id)
            raise

    def _begin(self, instance: Instance, account: Account) -> LocalRecord:
        """Look once more whether it may be, and record it, before anyone else can do the same."""
        with self._context.admission:
            self._context.check_shared(instance, account)
            validation.check_room(self._context, instance)
            return self._record(instance, account)

    def _record(self, instance: Instance, account: Account) -> LocalRecord:
        context = self._context
        host = context.host(instance.config)
        wanted = validation.wanted_port(instance.config)
        port = context.ports.take(instance.id, host, wanted)
        if wanted and not is_free(host, wanted):
            with os_faults("binding the port"):
                listen(host, wanted).close()  # its error tells who has it
        record = context.index.put(
            LocalRecord(
                id=instance.id,
                name=instance.name,
                owner=instance.owner,
                epoch=instance.epoch,
                node=context.node.id,
                port=port,
                uid=account.uid,
            )
        )
        context.step("begun")
        return record

    def _undo(self, instance_id: str) -> None:
        """What was half made is removed at once: it holds nobody's work yet."""
        context = self._context
        record = context.index.get(instance_id)
        if record is not None:
            self._runner.end(record, self._runner.unhurried(), grace=0.0, reason=None)
            folders.purge(context.layout, instance_id)
            context.ports.give_back(record.port, instance_id)
            context.index.drop(instance_id)
        else:
            context.ports.give_back_all(instance_id)

    # --- changing ----------------------------------------------------------------------------

    def update(self, instance: Instance, call: Call) -> tuple[LocalRecord, tuple[str, ...]]:
        """Take over the configuration; what a running server does not see waits for a start."""
        context = self._context
        record = self._known(instance)
        before = context.index.config(instance.id)
        running = self._runner.is_running(record)
        waiting = self._changed(instance.config, before, instance.id) if running else ()
        if running and context.groups.hierarchies is None:
            waiting = tuple(field for field in waiting if field not in LIMITS)
        call.check()
        with self._limited(record if running else None, instance.config, before):
            record = self._take_over(record, instance, before)
        context.step("updated")
        return record, waiting

    @contextlib.contextmanager
    def _limited(
        self, record: LocalRecord | None, now: InstanceConfig, before: InstanceConfig | None
    ) -> Iterator[None]:
        """Set the limits of what runs; the old ones again if the rest of the update fails."""
        hierarchies = self._context.groups.hierarchies
        if record is None or record.process is None or hierarchies is None:
            yield
            return
        paths = record.process.paths
        try:
            hierarchies.limit(paths, self._context.limits(now))
            yield
        except BaseException:
            if before is not None:
                hierarchies.limit(paths, self._context.limits(before))
            raise

    def _take_over(
        self, record: LocalRecord, instance: Instance, before: InstanceConfig | None
    ) -> LocalRecord:
        """Another host port is taken now, and used from the next start on."""
        context = self._context
        wanted = validation.wanted_port(instance.config)
        if wanted in (0, record.port):
            context.index.put_config(instance.id, instance.config)
            return record
        port = context.ports.take(record.id, context.host(instance.config), wanted)
        try:
            context.index.put_config(instance.id, instance.config)
            return self._move_port(record, port)
        except BaseException:
            context.ports.give_back(port, record.id)
            if before is not None:
                with contextlib.suppress(OSError):
                    context.index.put_config(instance.id, before)
            raise

    def _move_port(self, record: LocalRecord, port: int) -> LocalRecord:
        """The old one is reserved first: cut off in between, it must not go to anyone."""
        context = self._context
        context.ports.release(record.port, record.id)
        context.step("old port reserved")
        try:
            return context.index.change(record, port=port)
        except BaseException:
            context.ports.keep(record.port, record.id)
            raise

    def _changed(
        self, now: InstanceConfig, before: InstanceConfig | None, instance_id: str
    ) -> tuple[str, ...]:
        if before is None:
            return ()
        fields = ("workspace", "workspace_path", "network", "env", "extensions")
        found = [name for name in fields if getattr(now, name) != getattr(before, name)]
        dirs = self._context.layout.instance(instance_id)
        if codeserver.render_config(now.auth) != server.read_config(dirs):
            found.append("auth")
        return tuple(found)

    def _known(self, instance: Instance) -> LocalRecord:
        record = self._context.current(instance)
        if record is None:
            raise InstanceNotFound(
                f"provider {self._context.name} has no instance {instance.ref}",
                next_step="Look at swarmctl doctor: its folder may have been removed.",
            )
        return record

    # --- putting aside, removing -------------------------------------------------------------

    def trash(self, instance: Instance, call: Call) -> None:
        """Folder into the trash; the port stays its own until the end."""
        context = self._context
        record = context.current(instance)
        if record is None:
            return
        record = self._runner.end(record, call, grace=0.0, reason=record.exit)
        if not record.trashed:
            context.index.change(record, trashed=True)
            context.step("trash recorded")
        folders.trash(context.layout, instance.id)
        context.step("trashed")

    def restore(self, instance: Instance) -> LocalRecord:
        """Folder out of the trash. Raises ``InstanceNotFound`` if nothing is there."""
        context = self._context
        record = self._known(instance)
        context.account(instance)
        folders.restore(context.layout, instance.id)
        context.step("restored")
        if record.trashed:
            record = context.index.change(record, trashed=False)
            context.step("restore recorded")
        return record

    def purge(self, instance_id: str, call: Call) -> None:
        """Processes, folders, record, port: nothing is left when this returns."""
        context = self._context
        record = context.index.get(instance_id)
        known = record or _unknown(instance_id, context)
        self._runner.end_processes(known, call, grace=0.0)
        if record is not None:
            context.ports.release(record.port, instance_id)
            context.step("port released")
        folders.purge(context.layout, instance_id, call.check)
        context.step("purged")
        context.index.drop(instance_id)

    def workspace_of(self, record: LocalRecord, account: Account) -> Callable[[], int] | None:
        """What opens the host folder that is an instance's workspace; None for a managed one."""
        config = self._context.index.config(record.id)
        if config is None or config.workspace in (None, "", "managed"):
            return None
        if giturl.is_url(str(config.workspace)):
            return None
        roots = self._context.options.roots
        return lambda: hostfolder.open_host(config, roots, account)


def _unknown(instance_id: str, context: Context) -> LocalRecord:
    """A stand-in for a record that is lost: enough to find its processes."""
    return LocalRecord(
        id=instance_id,
        name="",
        owner="",
        epoch=0,
        node=context.node.id,
        port=0,
        uid=ANYONE,
    )
