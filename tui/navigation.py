"""Where one is: a path of places, each a view and what it is a view of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One place.

    Args:
        view: The view's name in the table of views.
        target: What it shows, if there are many: an instance's id, a provider's name.
        title: What the path calls it.
        part: Which part of the view is shown first; empty: its first. No part of the place.
        row: Which row of its table the cursor stands on first; likewise.
        sort: By which column its table is sorted first; likewise.
    """

    view: str
    target: str | None = None
    title: str = ""
    part: str = ""
    row: str = ""
    sort: str = ""

    @property
    def key(self) -> str:
        """What tells it from other places."""
        return self.view if self.target is None else f"{self.view}:{self.target}"


@dataclass(frozen=True, slots=True)
class Path:
    """From the first place to the one that is shown; never empty."""

    places: tuple[Place, ...]

    @property
    def here(self) -> Place:
        """The place that is shown."""
        return self.places[-1]

    def into(self, place: Place) -> Path:
        """One step deeper; to a place on the path it goes back."""
        for depth, known in enumerate(self.places):
            if known.key == place.key:
                return Path(self.places[: depth + 1])
        return Path((*self.places, place))

    def back(self) -> Path:
        """One step up; at the first place one stays."""
        return Path(self.places[:-1]) if len(self.places) > 1 else self

    def jump(self, place: Place) -> Path:
        """Straight to a view, from the first place."""
        first = self.places[0]
        return Path((first,)) if place.key == first.key else Path((first, place))
