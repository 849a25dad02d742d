"""The rows of the table of instances: of each only the fields that a table shows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus
from swarmd.messages.instance import Failure, Instance


class Row(Struct, frozen=True, kw_only=True):
    """One instance in a table."""

    id: str
    name: str
    owner: str
    provider: str
    desired: DesiredState
    status: InstanceStatus
    health: HealthStatus
    created_at: datetime
    updated_at: datetime
    url: str | None = None
    started_at: datetime | None = None
    last_error: Failure | None = None

    @property
    def held(self) -> bool:
        """Whether nothing automatic touches it any more: a crash loop, or worse."""
        error = self.last_error if self.status is InstanceStatus.ERROR else None
        return error is not None and error.details.get("held") is True

    @property
    def ref(self) -> str:
        """The name that is unique on a daemon."""
        return f"{self.owner}/{self.name}"


FIELDS: Final[tuple[str, ...]] = Row.__struct_fields__
"""What is asked of ``instance.list``: no more goes over the wire than is shown."""


def row_of(item: dict[str, Any]) -> Row:
    """A row of an item of ``instance.list``.

    Raises:
        msgspec.ValidationError: It is not what this version knows.
    """
    return msgspec.convert(item, Row)


def runs_since(known: Row | Instance) -> datetime | None:
    """Since when it runs; None: it does not, whenever it was started."""
    return known.started_at if known.status is InstanceStatus.RUNNING else None
