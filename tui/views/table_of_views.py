"""Every view there is: a new one is one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tui.navigation import Place
from tui.views.alerts import AlertsView
from tui.views.daemon import DaemonView
from tui.views.events import EventsView
from tui.views.home import HomeView
from tui.views.instance import InstanceView
from tui.views.instances import InstancesView
from tui.views.metrics import MetricsView
from tui.views.operations import OperationsView
from tui.views.provider import ProviderView
from tui.views.providers import ProvidersView
from tui.views.view import View


@dataclass(frozen=True, slots=True)
class Entry:
    """One view.

    Args:
        name: What commands and settings call it.
        title: What people read.
        key: What goes straight to it; empty: it is a view of one thing, reached from others.
        make: Makes it, for a place.
    """

    name: str
    title: str
    key: str
    make: Callable[[Place], View]


HOME: Final = Entry("home", "Home", "1", HomeView)

VIEWS: Final[tuple[Entry, ...]] = (
    HOME,
    Entry("instances", "Instances", "2", InstancesView),
    Entry("instance", "Instance", "", InstanceView),
    Entry("providers", "Providers", "3", ProvidersView),
    Entry("provider", "Provider", "", ProviderView),
    Entry("operations", "Operations", "4", OperationsView),
    Entry("events", "Events", "5", EventsView),
    Entry("alerts", "Alerts", "6", AlertsView),
    Entry("metrics", "Metrics", "7", MetricsView),
    Entry("daemon", "Daemon", "8", DaemonView),
)
