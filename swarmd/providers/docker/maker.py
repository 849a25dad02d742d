"""Making and changing: volumes, containers, and what is put into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from swarmd.errors import Conflict, SwarmError
from swarmd.messages.instance import Instance
from swarmd.ports import Call
from swarmd.providers.docker.admission import Admission
from swarmd.providers.docker.berths import Berths
from swarmd.providers.docker.container import Image, Plan, storage_of, workspace_kind
from swarmd.providers.docker.context import Context, absent, passed, unhurried, within
from swarmd.providers.docker.files import File, Made, Owner, bare, tar_of
from swarmd.providers.docker.hostfiles import check_usable, workspace_folder
from swarmd.providers.docker.images import Images
from swarmd.providers.docker.intake import as_docker
from swarmd.providers.docker.jobs import Jobs
from swarmd.providers.docker.looking import GOING, Looker, Seen
from swarmd.providers.docker.marks import Marks, Name, Published, State, marks_of, volume_name
from swarmd.providers.docker.removal import Removal
from swarmd.providers.docker.settings import made_now, settings_of
from swarmd.providers.shared.portbook import PortTaken

_SLOW = 120.0
"""Seconds for a call that moves files: the first volume of an image is filled from it."""


class Maker:
    """Changes what is at the engine; each method is called in the instance's turn."""

    def __init__(self, context: Context, looker: Looker) -> None:
        self._context = context
        self._looker = looker
        self.images = Images(context)
        self.jobs = Jobs(context)
        self.berths = Berths(context)
        self.admission = Admission(context, looker)
        self.removal = Removal(context, looker, self.berths)

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
            marks = replace(marks, ports=self.berths.fit(instance, marks.ports))
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
            self.removal.purge(instance.id, unhurried(), give_back=True)
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
            marks = self._marks(instance, self.berths.take(instance))
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
        with self.admission.place(instance):
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

    def renew(self, instance: Instance, call: Call) -> None:
        """Remove an instance's container, if there is a volume to make the next one around.

        Raises:
            InstanceNotFound: There is none.
        """
        if self._looker.volume(instance.id, within(call)) is None:
            raise absent(instance)
        seen = self.claim(instance, call)
        if seen is not None:
            self._context.engine.remove(seen.ref, within(call, _SLOW))
            self._looker.lives.note_end(seen.ref, "made anew")
            self._context.step("container removed")

    def replace(self, plan: Plan, seen: Seen, call: Call) -> Seen:
        """Make an instance's container anew: its volume stays, and its address."""
        self._context.engine.remove(seen.ref, within(call, _SLOW))
        self._looker.lives.note_end(seen.ref, "replaced")
        self._context.step("container removed")
        made = self._around(plan, call)
        left = set(seen.marks.ports.values()) - set(made.marks.ports.values())
        self.berths.release(seen.id, left)
        return made

    def move_ports(self, plan: Plan, seen: Seen, error: PortTaken, call: Call) -> tuple[Plan, Seen]:
        """Make a container anew on another host port than the one that somebody else has.

        Raises:
            PortTaken: ``error``, if that port was asked for by number.
        """
        moved = self.berths.exchange(plan, error)
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
