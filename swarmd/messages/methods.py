"""Every method of the socket: name, request, reply and kind. All faces derive from it.

A new method is one line here, its request Struct, and one handler in ``swarmd/api``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from swarmd.messages import replies, requests
from swarmd.messages.alert import Alert
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.messages.provider import Capabilities, ProviderInfo
from swarmd.messages.telemetry import MetricsReport


class Kind(StrEnum):
    """How a method is answered.

    ``read``: at once, from the snapshot. ``operation``: by an operation, waited for if asked.
    ``command``: when it is done. ``stream``: with a stream's id, then notifications.
    """

    READ = "read"
    OPERATION = "operation"
    COMMAND = "command"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Method:
    """One method.

    ``reply`` of an operation is the noun it answers with when waited for; the operation itself
    if the noun is gone by then.
    """

    name: str
    request: type[requests.Request]
    reply: Any
    kind: Kind

    @property
    def summary(self) -> str:
        """The first line of the request's docstring."""
        return (self.request.__doc__ or "").strip().split("\n", 1)[0]


METHODS: tuple[Method, ...] = (
    Method("instance.create", requests.CreateInstance, Instance, Kind.OPERATION),
    Method("instance.get", requests.GetInstance, Instance, Kind.READ),
    Method("instance.list", requests.ListInstances, replies.InstancePage, Kind.READ),
    Method("instance.start", requests.StartInstance, Instance, Kind.OPERATION),
    Method("instance.stop", requests.StopInstance, Instance, Kind.OPERATION),
    Method("instance.restart", requests.RestartInstance, Instance, Kind.OPERATION),
    Method("instance.delete", requests.DeleteInstance, Instance, Kind.OPERATION),
    Method("instance.undelete", requests.UndeleteInstance, Instance, Kind.OPERATION),
    Method("instance.update", requests.UpdateInstance, Instance, Kind.OPERATION),
    Method("instance.import", requests.ImportInstance, Instance, Kind.OPERATION),
    Method("instance.logs", requests.LogsInstance, replies.StreamOpened, Kind.STREAM),
    Method("instance.exec", requests.ExecInstance, replies.StreamOpened, Kind.STREAM),
    Method("instance.export", requests.ExportInstance, replies.StreamOpened, Kind.STREAM),
    Method("instance.recover", requests.RecoverInstance, Instance, Kind.OPERATION),
    Method("instance.keep", requests.KeepInstance, Instance, Kind.COMMAND),
    Method("instance.health", requests.HealthInstance, InstanceHealth, Kind.COMMAND),
    Method("instance.stats", requests.StatsInstance, replies.StatsList, Kind.COMMAND),
    Method("instance.credentials", requests.CredentialsInstance, replies.Credentials, Kind.READ),
    Method("instance.why", requests.WhyInstance, replies.Story, Kind.COMMAND),
    Method("operation.list", requests.ListOperations, replies.OperationList, Kind.READ),
    Method("operation.get", requests.GetOperation, Operation, Kind.READ),
    Method("operation.cancel", requests.CancelOperation, Operation, Kind.COMMAND),
    Method("operation.wait", requests.WaitOperation, Operation, Kind.COMMAND),
    Method("provider.list", requests.ListProviders, replies.ProviderList, Kind.READ),
    Method("provider.get", requests.GetProvider, ProviderInfo, Kind.READ),
    Method("provider.capabilities", requests.ProviderCapabilities, Capabilities, Kind.READ),
    Method("provider.placement", requests.PlacementProvider, replies.Placement, Kind.READ),
    Method("provider.register", requests.RegisterProvider, ProviderInfo, Kind.COMMAND),
    Method("provider.update", requests.UpdateProvider, ProviderInfo, Kind.COMMAND),
    Method("provider.remove", requests.RemoveProvider, replies.Done, Kind.COMMAND),
    Method("provider.enable", requests.EnableProvider, ProviderInfo, Kind.COMMAND),
    Method("provider.disable", requests.DisableProvider, ProviderInfo, Kind.COMMAND),
    Method("provider.cordon", requests.CordonProvider, ProviderInfo, Kind.COMMAND),
    Method("provider.drain", requests.DrainProvider, replies.Drain, Kind.COMMAND),
    Method("alert.list", requests.ListAlerts, replies.AlertList, Kind.READ),
    Method("alert.acknowledge", requests.AcknowledgeAlert, Alert, Kind.COMMAND),
    Method("events.subscribe", requests.SubscribeEvents, replies.StreamOpened, Kind.STREAM),
    Method("events.unsubscribe", requests.UnsubscribeEvents, replies.Closed, Kind.COMMAND),
    Method("events.history", requests.HistoryEvents, replies.EventPage, Kind.COMMAND),
    Method("events.at", requests.EventsAt, replies.PastTable, Kind.COMMAND),
    Method("upload.open", requests.OpenUpload, replies.StreamOpened, Kind.STREAM),
    Method("stream.write", requests.WriteStream, replies.Written, Kind.COMMAND),
    Method("stream.close", requests.CloseStream, replies.Closed, Kind.COMMAND),
    Method("daemon.status", requests.DaemonStatus, replies.StatusReport, Kind.READ),
    Method("daemon.metrics", requests.DaemonMetrics, MetricsReport, Kind.COMMAND),
    Method("daemon.version", requests.DaemonVersion, replies.Version, Kind.READ),
    Method("daemon.ping", requests.DaemonPing, replies.Pong, Kind.READ),
    Method("daemon.reload", requests.DaemonReload, replies.ReloadReport, Kind.COMMAND),
    Method("daemon.shutdown", requests.DaemonShutdown, replies.Done, Kind.COMMAND),
    Method("daemon.actors", requests.DaemonActors, replies.ActorList, Kind.READ),
    Method("daemon.doctor", requests.DaemonDoctor, replies.DoctorReport, Kind.COMMAND),
    Method("stray.adopt", requests.AdoptStray, Instance, Kind.COMMAND),
    Method("stray.discard", requests.DiscardStray, replies.Done, Kind.COMMAND),
    Method("rpc.discover", requests.Discover, dict[str, Any], Kind.READ),
)

BY_NAME: dict[str, Method] = {method.name: method for method in METHODS}
BY_REQUEST: dict[type[requests.Request], Method] = {method.request: method for method in METHODS}
