"""Which ports of the engine's host a container is published at: taken, kept, exchanged."""

from __future__ import annotations

import re
from dataclasses import replace

from swarmd.errors import SwarmError
from swarmd.messages.enums import Transport
from swarmd.messages.instance import Instance
from swarmd.providers.docker.container import Plan, published_at, wanted_ports
from swarmd.providers.docker.context import Context
from swarmd.providers.docker.marks import Published
from swarmd.providers.shared.portbook import PortTaken

_PORT = re.compile(r":(\d{1,5})\b")


class Berths:
    """The host ports of instances, as the provider's book of ports has them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def take(self, instance: Instance) -> Published:
        """Host ports for a new instance.

        Raises:
            SwarmError: One cannot be had; then it has none.
        """
        book = self._context.ports
        address = published_at(self._context.options, instance.config)
        taken: dict[tuple[int, Transport], int] = {}
        try:
            for inner, wanted in wanted_ports(instance.config).items():
                taken[inner] = book.take(instance.id, address, wanted)
        except SwarmError:
            book.give_back_all(instance.id)
            raise
        return taken

    def fit(self, instance: Instance, have: Published) -> Published:
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

    def exchange(self, plan: Plan, error: PortTaken) -> Plan:
        """The plan with another host port than the one that somebody else has.

        That one is left alone for a day.

        Raises:
            PortTaken: ``error``: it was asked for by number, and is not exchanged.
        """
        asked, ports = wanted_ports(plan.config), plan.marks.ports
        said = {int(port) for port in _PORT.findall(str(error.details.get("cause", "")))}
        named = said & set(ports.values()) or set(ports.values())
        lost = {host for inner, host in ports.items() if host in named and not asked.get(inner)}
        if not lost:
            raise error
        kept = {inner: host for inner, host in ports.items() if host not in lost}
        self.release(plan.instance.id, lost)
        return replace(plan, marks=replace(plan.marks, ports=self.fit(plan.instance, kept)))

    def release(self, instance_id: str, ports: set[int]) -> None:
        """Let go of ports that people may have known: each is left alone for a day."""
        for port in ports:
            self._context.ports.release(port, instance_id)
