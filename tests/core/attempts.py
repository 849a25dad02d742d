"""A desk at which creations are placed, and tried at one provider after the other."""

from __future__ import annotations

from typing import Any

from swarmd.core.course import PLACEMENT, Step
from swarmd.core.intake import Intake, decide
from swarmd.core.placement import Rules
from swarmd.core.tables import Change, Tables
from swarmd.errors import (
    SwarmError,
)
from swarmd.messages.enums import OperationKind
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.requests import CreateInstance, ImportInstance
from tests.core.desk import ANA, BROKEN, LOCAL, READY, Desk, tables_of
from tests.core.samples import NODE, config, make_id

BOX1 = ProviderRecord(name="box1", type="docker")
BOX2 = ProviderRecord(name="box2", type="docker", priority=-1.0)


def three() -> Tables:
    """Local first, then box1, then box2."""
    views = {"box1": READY, "box2": READY}
    return tables_of().apply(Change(providers=(LOCAL, BOX1, BOX2), views=views))


class Attempt(Desk):
    """A desk at which a creation is placed as a request is."""

    def __init__(self, tables: Tables | None = None, **rules: Any) -> None:
        super().__init__(tables=tables or three())
        self.rules = Rules(**{"default_provider": "local"} | rules)

    def make(self, *, archive: str | None = None, **fields: Any) -> Operation:
        wanted = config(**fields)
        request = (
            CreateInstance(config=wanted)
            if archive is None
            else ImportInstance(config=wanted, upload=archive)
        )
        return self.take(decide(self.tables, request, self.intake(1)))

    def intake(self, number: int) -> Intake:
        return Intake(
            operation_id=make_id(900 + number),
            instance_id=make_id(number),
            caller=ANA,
            now=self.now,
            node=NODE,
            password="fresh",
            digest="d",
            lasts=60.0,
            rules=self.rules,
        )

    def to(self, operation: Operation, step: Step) -> None:
        """Everything goes well up to this step."""
        while self.of(operation).step != step:
            self.end(operation)

    def break_at(self, operation: Operation, error: SwarmError = BROKEN) -> None:
        """It is made as far as that, fails, and is undone."""
        making = Step.IMPORT if operation.kind is OperationKind.IMPORT else Step.CREATE
        self.to(operation, making)
        self.fail(operation, error)
        assert self.of(operation).step == Step.UNDO
        self.end(operation)

    def at(self) -> tuple[str, str, int, str]:
        row = self.record()
        return row.provider, row.provider_type, row.epoch, str(row.status)

    def plan(self, operation: Operation) -> Any:
        return self.of(operation).arguments[PLACEMENT]
