"""Making, changing and removing: volumes, containers, and what is put into them."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from swarmd.errors import Conflict, ResourceLimitError, SwarmError, ValidationError
from swarmd.messages.enums import Transport
from swarmd.messages.instance import Instance
from swarmd.ports import Call
from swarmd.providers.docker.container import (
    Image,
    Plan,
    published_at,
    storage_of,
    wanted_ports,
    workspace_kind,
)
from swarmd.providers.docker.context import SHORT, Context, absent, passed, within
from swarmd.providers.docker.errors import PortTaken
from swarmd.providers.docker.files import File, Made, Owner, bare, tar_of
from swarmd.providers.docker.hostfiles import check_usable, workspace_folder
from swarmd.providers.docker.images import Images
from swarmd.providers.docker.intake import as_docker
from swarmd.providers.docker.jobs import Jobs
from swarmd.providers.docker.looking import GOING, Looker, Seen
from swarmd.providers.docker.marks import (
    JOB,
    NODE,
    PROVIDER,
    Marks,
    Name,
    Published,
    State,
    marks_of,
    volume_name,
)
from swarmd.providers.docker.settings import made_now, settings_of

_SLOW = 120.0
"""Seconds for a call that moves files: the first volume of an image is filled from it."""

_PURGE_SECONDS = 60.0
_PORT = re.compile(r":(\d{1,5})\b")


class Maker:
    """Changes what is at the engine; each method is called in the instance's turn."""

    def __init__(self, context: Context, looker: Looker) -> None:
        self._context = context
        self._looker = looker
        self.images = Images(context)
        self.jobs = Jobs(context)
        self._admission = threading.Lock()

    # --- what a container will be like -------------------------------------------------------

    def plan(
        self,
        instance: Instance,
        marks: Marks,
        call: Call,
        *,
        fresh: bool = False,
        known: Image | None = None,
        look: bool = False,
    ) -> Plan:
        """Everything that decides what an instance's container is like.

        An instance that names no image keeps the one that it was made with.

        Args:
            instance: Whose.
            marks: Of its volume or container.
            call: Deadline, cancellation, progress of a pull.
            fresh: Whether the image is about to be used for the first time.
            known: An image that was looked at just now.
            look: Whether no container is made of it: then it takes no further ports.
        """
        options = self._context.options
        if not look:
            marks = replace(marks, ports=self._ports_for(instance, marks.ports))
        ref = instance.config.image or marks.image or options.image
        if known is None or known.ref != ref:
            known = self.images.get(ref, call, fresh=fresh)
        image = known
        bind = None
        if workspace_kind(instance.config) == "bind":
            bind = self._host_folder(instance, image)
        return Plan(instance, options, image, marks, bind=bind)

    def _host_folder(self, instance: Instance, image: Image) -> str:
        """The host folder that is the workspace, looked at with the rights of its user."""
        options = self._context.options
        folder = workspace_folder(instance.config, options)
        if options.engine_host is None:
            check_usable(folder, image.uid, image.gid)
        return folder

    # --- finding -----------------------------------------------------------------------------

    def claim(self, instance: Instance, call: Call) -> Seen | None:
        """An instance's container, renamed to the instance's epoch; None if it has none.

        Raises:
            Conflict: It is of a later epoch.
        """
        seen = self._looker.find(instance.id, within(call))
        if seen is None:
            return None
        if seen.epoch > instance.epoch:
            raise passed(instance, seen.epoch)
        if not seen.runs:
            seen = self._looker.as_it_is(seen, within(call))
        if seen.state in GOING:
            self._context.engine.remove(seen.ref, within(call, _SLOW))
            return self.claim(instance, call)
        return self.rename(seen, instance.epoch, seen.status, call)

    def rename(self, seen: Seen, epoch: int, state: State, call: Call) -> Seen:
        """Give a container the name of this epoch and state."""
        name = Name(seen.id, epoch, state)
        if seen.name == name:
            return seen
        self._context.engine.rename(seen.ref, str(name), within(call))
        self._context.step("renamed")
        return replace(seen, name=name)

    def ensure(self, instance: Instance, call: Call) -> Seen:
        """The container of an instance; made anew around its volume if someone removed it.

        Raises:
            InstanceNotFound: There is no volume either: an empty one is never put in its place.
        """
        seen = self.claim(instance, call)
        if seen is not None:
            return seen
        volume = self._looker.volume(instance.id, within(call))
        if volume is None:
            raise absent(instance)
        plan = self.plan(instance, self._marks(instance, volume.ports), call)
        return self._around(plan, call)

    # --- making ------------------------------------------------------------------------------

    def create(self, instance: Instance, call: Call, chunks: Iterable[bytes] | None = None) -> Seen:
        """Make the volume and the container, and everything but the running server.

        Args:
            instance: Whose.
            call: Deadline, cancellation, progress.
            chunks: An archive to fill the volume from.

        Raises:
            SwarmError: It cannot be made; nothing of it is left that was not there before.
        """
        call.check()
        seen = self.claim(instance, call)
        if seen is not None and seen.status is State.TRASHED:
            raise Conflict(f"{instance.ref} is in the trash", next_step="Undelete it.")
        volume = self._looker.volume(instance.id, within(call))
        if seen is not None and seen.status is State.COMPLETE and volume is not None:
            return seen
        try:
            return self._create(instance, seen, volume, call, chunks)
        except BaseException:
            self._undo(instance)
            raise

    def _undo(self, instance: Instance) -> None:
        """Remove what a creation made that came to no end; it had no data of anyone's yet."""
        try:
            self.purge(instance.id, self.unhurried(), give_back=True)
        except SwarmError as error:
            # Its name says that it is not complete: the next call completes or removes it.
            self._context.step(f"not undone: {error.message}")

    def _create(
        self,
        instance: Instance,
        seen: Seen | None,
        volume: Marks | None,
        call: Call,
        chunks: Iterable[bytes] | None,
    ) -> Seen:
        jobs = self._jobs(instance, call, chunks)
        state = State.NEW if jobs else State.COMPLETE
        resumed = seen is None and volume is not None
        if volume is not None:  # an earlier call came so far
            plan = self.plan(instance, self._marks(instance, volume.ports), call)
        elif seen is not None:  # the engine made it, and an empty volume, when we had given up
            raise absent(instance)
        else:
            marks = self._marks(instance, self._take_ports(instance))
            plan = self.plan(instance, marks, call, fresh=True)
            self._make_volume(instance, marks, call)
        if seen is None:
            seen = self.container(plan, state, call)
        for job in jobs:
            job(plan, seen)
        if not resumed:  # else what lies in the volume stays; the start makes what is missing
            self._furnish(plan, seen, call, workspace=chunks is None)
        return self.rename(seen, instance.epoch, State.COMPLETE, call)

    def _jobs(
        self, instance: Instance, call: Call, chunks: Iterable[bytes] | None
    ) -> list[Callable[[Plan, Seen], object]]:
        """What takes its time, and is begun anew if it is cut off."""
        config = instance.config
        jobs: list[Callable[[Plan, Seen], object]] = []
        if chunks is not None:
            jobs.append(lambda plan, seen: self._fill(plan, seen, chunks, call))
        elif workspace_kind(config) == "git":
            jobs.append(lambda plan, seen: self.jobs.clone(plan, call))
        if config.extensions:
            wanted = tuple(enumerate(config.extensions))
            jobs.append(lambda plan, seen: self.jobs.install(plan, wanted, call))
        return jobs

    def _fill(self, plan: Plan, seen: Seen, chunks: Iterable[bytes], call: Call) -> None:
        image = plan.image
        # Into the root: the engine refuses links that lead out of the folder it is told.
        archive = as_docker(chunks, call, uid=image.uid, gid=image.gid, home=image.home)
        self._context.engine.put_archive(seen.ref, "/", archive, call.remaining)
        self._context.step("imported")

    def _furnish(self, plan: Plan, seen: Seen, call: Call, *, workspace: bool) -> None:
        """Put in what a container has before its first start: its settings, its workspace."""
        made = Made(config=bare(plan.config), installed=plan.config.extensions)
        files = settings_of(plan, made)
        folders = []
        if workspace and workspace_kind(plan.config) == "volume":
            folders = [File(plan.project, None, 0o755, Owner(plan.image.uid, plan.image.gid))]
        archive = tar_of([*files, *folders])
        self._context.engine.put_archive(seen.ref, "/", [archive], within(call, _SLOW))
        self._context.step("furnished")
        self._looker.contents.note(seen.ref, plan.image, made, files)

    def _marks(self, instance: Instance, ports: Published) -> Marks:
        return marks_of(instance, self._context.node.id, self._context.name, ports)

    def _make_volume(self, instance: Instance, marks: Marks, call: Call) -> None:
        context = self._context
        size = storage_of(instance.config, context.options)
        options = {"size": str(size)} if context.limits_storage else {}
        name = volume_name(instance.id)
        limited = self._admission if context.options.max_instances else contextlib.nullcontext()
        with limited:  # two at once would both find the last place free
            self.check_room(instance)
            context.engine.create_volume(name, marks.labels(), options, within(call))
            self._looker.note_volume(marks)
        context.step("volume made")

    def container(self, plan: Plan, state: State, call: Call) -> Seen:
        """Make a container around the instance's volume."""
        name = Name(plan.instance.id, plan.instance.epoch, state)
        body, marks = plan.made()
        ref = self._context.engine.create(str(name), body, within(call, _SLOW))
        self._context.step("container made")
        return Seen(
            ref=ref,
            name=name,
            marks=marks,
            state="created",
            words="Created",
            networks=(plan.options.network,),
        )

    def _around(self, plan: Plan, call: Call) -> Seen:
        """A container around the volume that is there.

        Raises:
            InstanceNotFound: Someone removed it meanwhile, and the engine made an empty one.
        """
        seen = self.container(plan, State.COMPLETE, call)
        if self._looker.volume(seen.id, within(call)) is None:
            self._context.engine.remove(seen.ref, within(call, _SLOW))
            raise absent(plan.instance)
        return seen

    def replace(self, plan: Plan, seen: Seen, call: Call) -> Seen:
        """Make an instance's container anew: its volume stays, and its address."""
        self._context.engine.remove(seen.ref, within(call, _SLOW))
        self._looker.lives.note_end(seen.ref, "replaced")
        self._context.step("container removed")
        made = self._around(plan, call)
        for port in set(seen.marks.ports.values()) - set(made.marks.ports.values()):
            self._context.ports.release(port, seen.id)
        return made

    def move_ports(self, plan: Plan, seen: Seen, error: PortTaken, call: Call) -> tuple[Plan, Seen]:
        """Make a container anew on another host port than the one that somebody else has.

        That one is left alone for a day. One that was asked for by number is not exchanged: then
        the error goes on.
        """
        asked, ports = wanted_ports(plan.config), plan.marks.ports
        said = {int(port) for port in _PORT.findall(str(error.details.get("cause", "")))}
        named = said & set(ports.values()) or set(ports.values())
        lost = {host for inner, host in ports.items() if host in named and not asked.get(inner)}
        if not lost:
            raise error
        kept = {inner: host for inner, host in ports.items() if host not in lost}
        for port in lost:
            self._context.ports.release(port, seen.id)
        ports = self._ports_for(plan.instance, kept)
        moved = replace(plan, marks=replace(plan.marks, ports=ports))
        self._context.engine.remove(seen.ref, within(call, _SLOW))
        self._context.step("container removed")
        return moved, self._around(moved, call)

    def settle(self, plan: Plan, seen: Seen, before: Made | None, call: Call) -> None:
        """Put the files in that the server reads, and install what was asked for since.

        Args:
            plan: What is to start.
            seen: Its container.
            before: What was noted in it, or in the one that it replaces.
            call: Deadline, cancellation, progress.
        """
        config = plan.config
        installed = before.installed if before else ()
        missing = [
            (index, name) for index, name in enumerate(config.extensions) if name not in installed
        ]
        if missing:
            self.jobs.install(plan, missing, call)
        made = made_now(config, before)
        files = settings_of(plan, made)
        self._looker.check_stays(seen, within(call))
        self._looker.contents.forget([seen.ref])
        self._context.engine.put_archive(seen.ref, "/", [tar_of(files)], within(call, _SLOW))
        self._looker.contents.note(seen.ref, plan.image, made, files)
        self._context.step("settings put in")

    # --- ports, room -------------------------------------------------------------------------

    def _take_ports(self, instance: Instance) -> dict[tuple[int, Transport], int]:
        context, config = self._context, instance.config
        address = published_at(context.options, config)
        taken: dict[tuple[int, Transport], int] = {}
        try:
            for inner, wanted in wanted_ports(config).items():
                taken[inner] = context.ports.take(instance.id, address, wanted)
        except SwarmError:
            context.ports.give_back_all(instance.id)
            raise
        return taken

    def _ports_for(self, instance: Instance, have: Published) -> Published:
        """The ports that an instance asks for now; those that it has, it keeps.

        Where a volume tells of others than its container had last, the book knows better.
        """
        book, address = self._context.ports, published_at(self._context.options, instance.config)
        spare = [port for port in book.owned(instance.id) if port not in have.values()]
        ports: dict[tuple[int, Transport], int] = {}
        for inner, wanted in wanted_ports(instance.config).items():
            held = have.get(inner, 0)
            if held and wanted in (0, held) and book.regain(held, instance.id):
                ports[inner] = held
            elif spare and not wanted:
                ports[inner] = spare.pop(0)
            else:
                ports[inner] = book.take(instance.id, address, wanted)
        return ports

    def check_room(self, instance: Instance) -> None:
        """Raise ``ResourceLimitError`` if a new instance is one too many."""
        most = self._context.options.max_instances
        if not most:
            return
        known = {seen.id for seen in self._looker.containers()} | self._looker.with_volume()
        known.discard(instance.id)
        if len(known) >= most:
            raise ResourceLimitError(
                f"provider {self._context.name} has {len(known)} instances, the trash included, "
                f"and takes {most}",
                field="max_instances",
                next_step="Delete instances with force, or raise max_instances.",
            )

    def check_storage(self, instance: Instance, made: Made | None) -> None:
        """Refuse another size for a volume that is there: the engine cannot change it."""
        if made is None or not self._context.limits_storage:
            return
        options = self._context.options
        if storage_of(made.config, options) != storage_of(instance.config, options):
            raise ValidationError(
                "the storage of a volume cannot be changed",
                field="config.resources.storage",
                next_step="Export the instance and import it with the other size.",
            )

    # --- removing ----------------------------------------------------------------------------

    def purge(self, instance_id: str, call: Call, *, give_back: bool = False) -> None:
        """Remove everything of an instance: containers, volume, and its hold on its ports.

        Args:
            instance_id: Whose.
            call: Deadline and cancellation.
            give_back: Whether nobody ever knew its ports, so that they are free at once.
        """
        context = self._context
        self._remove_jobs([f"{JOB}={instance_id}"], within(call))
        found = self._looker.containers(instance_id, within(call))
        volume = self._looker.volume(instance_id, within(call))
        ports = {port for seen in found for port in seen.marks.ports.values()}
        ports |= set(volume.ports.values()) if volume else set()
        for seen in found:
            context.engine.remove(seen.ref, within(call, _PURGE_SECONDS))
            context.step("container removed")
        if volume is not None:
            context.engine.remove_volume(volume_name(instance_id), within(call, _PURGE_SECONDS))
            context.step("volume removed")
        if give_back:
            context.ports.give_back_all(instance_id)
        for port in ports | set(context.ports.owned(instance_id)):
            context.ports.release(port, instance_id)
        self._looker.forget(instance_id, [seen.ref for seen in found])

    def sweep_jobs(self) -> None:
        """Remove the containers of work that a crash cut off: nobody waits for it any more.

        Those of another daemon at the same engine are its own affair.
        """
        context = self._context
        self._remove_jobs([JOB, f"{PROVIDER}={context.name}", f"{NODE}={context.node.id}"], SHORT)

    def _remove_jobs(self, labels: list[str], seconds: float) -> None:
        for job in self._context.engine.containers(labels, seconds):
            self._context.engine.remove(job["Id"], _PURGE_SECONDS)

    def unhurried(self) -> Call:
        """A call that is not cancelled and has time enough to end what was begun."""
        import time

        return Call(deadline=time.monotonic() + _PURGE_SECONDS, clock=time.monotonic)
