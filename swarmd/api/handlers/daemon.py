"""The daemon itself: how it is, what it can do, stop and reload."""

from __future__ import annotations

from typing import Any

from swarmd.api.call import Call, handles
from swarmd.api.openrpc import document
from swarmd.messages.enums import DaemonState
from swarmd.messages.replies import (
    ActorList,
    DoctorReport,
    Done,
    Pong,
    ReloadReport,
    StatusReport,
    Version,
)
from swarmd.messages.requests import (
    DaemonActors,
    DaemonDoctor,
    DaemonMetrics,
    DaemonPing,
    DaemonReload,
    DaemonShutdown,
    DaemonStatus,
    DaemonVersion,
    Discover,
)
from swarmd.messages.telemetry import MetricsReport
from swarmd.messages.wire import PROTOCOL


@handles(DaemonStatus)
def status(call: Call, request: DaemonStatus) -> StatusReport:  # noqa: ARG001
    """``daemon.status``."""
    return call.query.status(call.caller)


@handles(DaemonMetrics)
async def metrics(call: Call, request: DaemonMetrics) -> MetricsReport:
    """``daemon.metrics``."""
    return await call.commands.metrics(call.caller, request)


@handles(DaemonVersion)
def version(call: Call, request: DaemonVersion) -> Version:  # noqa: ARG001
    """``daemon.version``."""
    return Version(version=call.services.version, protocol=PROTOCOL)


@handles(DaemonPing)
def ping(call: Call, request: DaemonPing) -> Pong:  # noqa: ARG001
    """``daemon.ping``: ok while the daemon serves, degraded or not."""
    state, _ = call.query.condition()
    return Pong(ok=state in (DaemonState.READY, DaemonState.DEGRADED), state=state)


@handles(DaemonActors)
def actors(call: Call, request: DaemonActors) -> ActorList:  # noqa: ARG001
    """``daemon.actors``."""
    return call.query.actors(call.caller)


@handles(DaemonDoctor)
async def doctor(call: Call, request: DaemonDoctor) -> DoctorReport:  # noqa: ARG001
    """``daemon.doctor``."""
    return await call.commands.doctor(call.caller)


@handles(DaemonReload)
async def reload(call: Call, request: DaemonReload) -> ReloadReport:  # noqa: ARG001
    """``daemon.reload``."""
    return await call.commands.reload(call.caller)


@handles(DaemonShutdown)
async def shutdown(call: Call, request: DaemonShutdown) -> Done:  # noqa: ARG001
    """``daemon.shutdown``."""
    await call.commands.shutdown(call.caller)
    return Done()


@handles(Discover)
def discover(call: Call, request: Discover) -> dict[str, Any]:  # noqa: ARG001
    """``rpc.discover``."""
    return document(call.services.version)
