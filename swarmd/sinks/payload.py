"""What receivers are told: one JSON document, the same for all of them."""

from __future__ import annotations

from typing import Any

from swarmd.messages import codec
from swarmd.messages.alert import Notice


def payload(notice: Notice, node: str) -> bytes:
    """The alert as it was when it was raised or resolved.

    ``id`` with ``state`` tell a receiver that it has had this one already.
    """
    alert = codec.to_plain(notice.alert)
    told: dict[str, Any] = {
        "version": 1,
        "id": notice.alert.id,
        "state": notice.change.value,
        "at": notice.at,
        "node": node,
    }
    rest = (
        "type", "severity", "subject", "target", "owner", "message", "details", "raised_at",
        "acknowledged_at", "acknowledged_by", "note", "resolved_at",
    )  # fmt: skip
    return codec.encode(told | {key: alert[key] for key in rest})
