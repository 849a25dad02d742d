"""What every part of the provider works with: options, places, records, ports, groups."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from swarmd.errors import Conflict, PermissionDenied, ProviderError
from swarmd.messages.config import InstancesConfig
from swarmd.messages.instance import Instance, InstanceConfig
from swarmd.messages.state import Node
from swarmd.ports import Call, Clock
from swarmd.providers.local.cgroup_probe import Found
from swarmd.providers.local.cgroups import Limits
from swarmd.providers.local.data.layout import Layout
from swarmd.providers.local.endings import Endings
from swarmd.providers.local.launcher import Child
from swarmd.providers.local.options import LocalOptions
from swarmd.providers.local.record import Index, LocalRecord
from swarmd.providers.shared import account as accounts
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.portbook import PortBook
from swarmd.providers.shared.turns import Turns


def nothing(step: str) -> None:
    """The default of ``Context.step``."""


@dataclass(slots=True)
class Context:
    """One provider's world.

    Args:
        name: The provider's name.
        options: Its options.
        node: This daemon.
        clock: Time.
        defaults: Start timeout and stop grace.
        layout: Where everything lies.
        index: What is known of the instances.
        ports: Who has which port.
        server_dir: The managed code-server.
        groups: The control groups that the probe found.
        admission: Held from the look whether a new instance may be until its record is there.
        children: Main processes that this daemon started, and must wait for.
        endings: Hears when a main process ends, whoever started it.
        insecure: Whether instances may be reached from other hosts without TLS.
        step: Told each point at which the state on disk or in the kernel has changed: a test
            ends the process there.
    """

    name: str
    options: LocalOptions
    node: Node
    clock: Clock
    defaults: InstancesConfig
    layout: Layout
    index: Index
    ports: PortBook
    server_dir: Path
    groups: Found = Found(None)
    children: dict[str, Child] = field(default_factory=dict)
    endings: Endings = field(default_factory=Endings)
    insecure: bool = False
    step: Callable[[str], None] = nothing
    admission: threading.Lock = field(default_factory=threading.Lock)
    turns: Turns = field(default_factory=Turns)

    @property
    def mark(self) -> str:
        """What the node's mark of our instances' processes says."""
        return f"{self.node.id}/{self.name}"

    def account(self, instance: Instance) -> Account:
        """Whom an instance runs as, having looked that no other owner's share it (DESIGN 7).

        Raises:
            ValidationError: There is no such account.
            PermissionDenied: Another owner's instances run as the same user.
            ProviderError: Its folder was made for another account.
        """
        options = self.options
        account = accounts.resolve(options.run_as, instance.owner, allow_root=options.allow_root)
        record = self.index.get(instance.id)
        if record is not None and record.uid != account.uid:
            raise ProviderError(
                f"its folder belongs to uid {record.uid}, but it would run as {account.name}",
                field="run_as",
                next_step="Set run_as back, or export the instance and import it again.",
            )
        self.check_shared(instance, account)
        return account

    def check_shared(self, instance: Instance, account: Account) -> None:
        """Raise ``PermissionDenied`` if another owner's instances run as this account."""
        if self.options.allow_shared_uid:
            return
        for other in self.index.all().values():
            if other.uid == account.uid and other.owner != instance.owner:
                raise PermissionDenied(
                    f"instances of another owner run as {account.name} already, and instances "
                    "of one user can read each other's files",
                    field="owner",
                    next_step="Set allow_shared_uid = true in the provider's options if its "
                    'owners trust each other, or run the daemon as root with run_as = "owner".',
                )

    def host(self, config: InstanceConfig) -> str:
        """The address that an instance listens at."""
        public = config.network.enable_public_access
        return self.options.public_address if public else self.options.publish_address

    def limits(self, config: InstanceConfig) -> Limits:
        """What an instance may use: its own wish, else the provider's default."""
        wanted, options = config.resources, self.options
        return Limits(
            cpu=options.cpu if wanted.cpu is None else wanted.cpu,
            memory=options.memory if wanted.memory is None else wanted.memory,
            pids=options.pids if wanted.pids is None else wanted.pids,
        )

    def turn(self, instance_id: str, call: Call) -> AbstractContextManager[None]:
        """One call at a time for one instance."""
        return self.turns.of(instance_id, call)

    def known(self, instance: Instance) -> LocalRecord | None:
        """The record as it is: for who only looks, and so has no turn to write it in.

        Raises:
            Conflict: The record is of a later epoch.
        """
        record = self.index.get(instance.id)
        if record is not None and record.epoch > instance.epoch:
            raise Conflict(
                f"{instance.ref} is at epoch {record.epoch} already, not {instance.epoch}",
                next_step="Look at the instance again; a later operation has passed this one.",
                details={"epoch": record.epoch},
            )
        return record

    def current(self, instance: Instance) -> LocalRecord | None:
        """The record, raised to the instance's epoch, name and owner. In its turn only.

        Raises:
            Conflict: The record is of a later epoch.
        """
        record = self.known(instance)
        if record is None:
            return None
        now = (instance.epoch, instance.name, instance.owner)
        if (record.epoch, record.name, record.owner) == now:
            return record
        epoch, name, owner = now
        return self.index.change(record, epoch=epoch, name=name, owner=owner)
