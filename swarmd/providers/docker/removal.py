"""Removing: everything of an instance, and what work that was cut off has left."""

from __future__ import annotations

from swarmd.ports import Call
from swarmd.providers.docker.berths import Berths
from swarmd.providers.docker.context import PATIENT, SHORT, Context, within
from swarmd.providers.docker.looking import Looker
from swarmd.providers.docker.marks import JOB, NODE, PROVIDER, volume_name


class Removal:
    """Takes away what is at the engine."""

    def __init__(self, context: Context, looker: Looker, berths: Berths) -> None:
        self._context = context
        self._looker = looker
        self._berths = berths

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
            context.engine.remove(seen.ref, within(call, PATIENT))
            context.step("container removed")
        if volume is not None:
            context.engine.remove_volume(volume_name(instance_id), within(call, PATIENT))
            context.step("volume removed")
        if give_back:
            context.ports.give_back_all(instance_id)
        self._berths.release(instance_id, ports | set(context.ports.owned(instance_id)))
        self._looker.forget(instance_id, [seen.ref for seen in found])

    def sweep_jobs(self) -> None:
        """Remove the containers of work that a crash cut off: nobody waits for it any more.

        Those of another daemon at the same engine are its own affair.
        """
        context = self._context
        self._remove_jobs([JOB, f"{PROVIDER}={context.name}", f"{NODE}={context.node.id}"], SHORT)

    def _remove_jobs(self, labels: list[str], seconds: float) -> None:
        for job in self._context.engine.containers(labels, seconds):
            self._context.engine.remove(job["Id"], PATIENT)
