"""The borders: what each room promises to the others, as Protocols.

``Provider`` and ``Store`` are what the actors drive; ``Query`` and ``Commands`` are what the
socket sees. Only ``daemon.py`` knows which classes stand behind them.
"""

from swarmd.ports.clock import Clock
from swarmd.ports.probe import Answer, Probe, Question
from swarmd.ports.provider import Call, Provider, ProviderFactory, Session, UpdateOutcome
from swarmd.ports.sink import Endurance, Sink
from swarmd.ports.socket import Commands, Page, Query, Upload
from swarmd.ports.store import Batch, Opening, Store

__all__ = [
    "Answer",
    "Batch",
    "Call",
    "Clock",
    "Commands",
    "Endurance",
    "Opening",
    "Page",
    "Probe",
    "Provider",
    "ProviderFactory",
    "Query",
    "Question",
    "Session",
    "Sink",
    "Store",
    "UpdateOutcome",
    "Upload",
]
