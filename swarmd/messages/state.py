"""What stands on disk beside the nouns themselves (DESIGN 5). Newer fields have defaults."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from swarmd.messages.alert import AlertBook
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderRecord


class Node(Struct, frozen=True, kw_only=True):
    """``node.json``: this daemon's stable identity."""

    id: str
    created_at: datetime
    version: int = 1


class ProvidersFile(Struct, frozen=True, kw_only=True):
    """``providers.json``: what was enabled, cordoned or registered at run time."""

    providers: tuple[ProviderRecord, ...] = ()
    version: int = 1


class LoadedState(Struct, frozen=True, kw_only=True):
    """Everything that a start finds."""

    node: Node
    journal: str
    last_seq: int
    instances: tuple[Instance, ...] = ()
    operations: tuple[Operation, ...] = ()
    providers: tuple[ProviderRecord, ...] = ()
    quarantined: tuple[str, ...] = ()
    alerts: AlertBook = AlertBook()
