"""Whether an instance can be taken: its workspace, the room that is left, the size it asks for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from swarmd.errors import ResourceLimitError, ValidationError
from swarmd.messages.instance import Instance
from swarmd.providers.docker.container import storage_of, workspace_kind
from swarmd.providers.docker.context import Context
from swarmd.providers.docker.files import Made
from swarmd.providers.docker.hostfiles import workspace_folder
from swarmd.providers.docker.looking import Looker
from swarmd.providers.shared import giturl


class Admission:
    """Refuses what cannot be had here, before anything is made or changed."""

    def __init__(self, context: Context, looker: Looker) -> None:
        self._context = context
        self._looker = looker
        self._entering = threading.Lock()

    def check_workspace(self, instance: Instance) -> None:
        """Raise ``ValidationError`` for a workspace that no container can reach."""
        config = instance.config
        match workspace_kind(config):
            case "git":
                remote = giturl.parse(str(config.workspace))
                if remote.protocol == "file":
                    raise ValidationError(
                        "a repository on this host cannot be reached from a container",
                        field=giturl.FIELD,
                        next_step="Give https://host/path, or a folder below the roots.",
                    )
            case "bind":
                workspace_folder(config, self._context.options)

    @contextlib.contextmanager
    def place(self, instance: Instance) -> Iterator[None]:
        """A place for a new instance, to be filled before the next one is looked for.

        Raises:
            ResourceLimitError: None is left.
        """
        limited = self._entering if self._context.options.max_instances else None
        with limited or contextlib.nullcontext():  # two at once would both find the last one free
            self.check_room(instance)
            yield

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
