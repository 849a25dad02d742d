"""Filters, pages and fields of lists, and filters of events (DESIGN 6).

A page of ten thousand instances must not cost a sort or a walk over all of them: the
instances are kept sorted in an ``Index``, and a cursor is the key of the last one shown.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from swarmd.core.naming import nearest
from swarmd.errors import ValidationError
from swarmd.messages.enums import EventType, InstanceStatus
from swarmd.messages.events import Event
from swarmd.messages.instance import Instance
from swarmd.messages.requests import ListInstances

Key = tuple[str, str, str]
Fits = Callable[[Instance], bool]

_keys: msgspec.json.Decoder[Key] = msgspec.json.Decoder(Key)

_GLOB = re.compile(r"[*?\[]")


def key_of(instance: Instance) -> Key:
    """What lists are sorted by."""
    return (instance.owner, instance.name, instance.id)


# --- globs and filters -----------------------------------------------------------------------


@lru_cache(maxsize=256)
def glob(pattern: str) -> Callable[[str], bool]:
    """A test for a shell pattern (``*``, ``?``, ``[…]``); case counts."""
    if _GLOB.search(pattern) is None:
        return pattern.__eq__
    match = re.compile(fnmatch.translate(pattern)).match
    return lambda text: match(text) is not None


def _by_pair(text: str, field: str, of: Callable[[Instance], dict[str, str]]) -> Fits:
    key, given, pattern = text.partition("=")
    if not key:
        raise ValidationError(
            f"the filter {text!r} has no key",
            field=field,
            next_step="Write key or key=glob, such as team=red.",
        )
    if not given:
        return lambda instance: key in of(instance)
    fits = glob(pattern)
    return lambda instance: (value := of(instance).get(key)) is not None and fits(value)


def _by_metadata(instance: Instance) -> dict[str, str]:
    return instance.config.metadata | instance.metadata


def _tests(request: ListInstances) -> list[Fits]:
    """One test for each filter that is set, the cheap ones first."""
    tests: list[Fits] = []
    if request.id:
        ids = frozenset(request.id)
        tests.append(lambda instance: instance.id in ids)
    if request.status:
        statuses = frozenset(request.status)
        tests.append(lambda instance: instance.status in statuses)
    if request.health:
        healths = frozenset(request.health)
        tests.append(lambda instance: instance.health in healths)
    if request.desired:
        wishes = frozenset(request.desired)
        tests.append(lambda instance: instance.desired in wishes)
    if request.owner is not None:
        owner = glob(request.owner)
        tests.append(lambda instance: owner(instance.owner))
    if request.provider is not None:
        provider = glob(request.provider)
        tests.append(lambda instance: provider(instance.provider))
    if request.name is not None:
        name = glob(request.name)
        tests.append(lambda instance: name(instance.name))
    if request.swarm is not None:
        swarm = glob(request.swarm)
        tests.append(
            lambda instance: instance.config.swarm is not None and swarm(instance.config.swarm)
        )
    tests.extend(_by_pair(text, "label", lambda i: i.config.labels) for text in request.label)
    tests.extend(_by_pair(text, "metadata", _by_metadata) for text in request.metadata)
    return tests


def _all_of(tests: Sequence[Fits]) -> Fits:
    if len(tests) == 1:
        return tests[0]
    return lambda instance: all(test(instance) for test in tests)


# --- sorted instances ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    """Instances in order and their keys in the same order."""

    rows: tuple[Instance, ...] = ()
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """Every instance, sorted: those alive and those in the trash. Never changed in place."""

    live: Listing = Listing()
    trash: Listing = Listing()

    @staticmethod
    def build(instances: Iterable[Instance]) -> Index:
        """Sort them all; for a start."""
        rows = sorted(instances, key=key_of)
        return Index(
            _listing([row for row in rows if row.status != InstanceStatus.DELETED]),
            _listing([row for row in rows if row.status == InstanceStatus.DELETED]),
        )

    def apply(self, changes: Iterable[tuple[Instance | None, Instance | None]]) -> Index:
        """The index after changes, each as (before, after); None before = new, after = gone."""
        parts = {False: _Draft(self.live), True: _Draft(self.trash)}
        for before, after in changes:
            if before is not None:
                parts[before.status == InstanceStatus.DELETED].drop(before)
            if after is not None:
                parts[after.status == InstanceStatus.DELETED].put(after)
        return Index(parts[False].done(), parts[True].done())


def _listing(rows: Sequence[Instance]) -> Listing:
    return Listing(tuple(rows), tuple(key_of(row) for row in rows))


class _Draft:
    """A listing that is being changed; copied once, at the first change."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._rows: list[Instance] | None = None
        self._keys: list[Key] = []

    def _open(self) -> list[Instance]:
        if self._rows is None:
            self._rows, self._keys = list(self._listing.rows), list(self._listing.keys)
        return self._rows

    def drop(self, instance: Instance) -> None:
        rows, key = self._open(), key_of(instance)
        at = bisect_left(self._keys, key)
        if at < len(rows) and self._keys[at] == key:
            del rows[at], self._keys[at]

    def put(self, instance: Instance) -> None:
        rows, key = self._open(), key_of(instance)
        at = bisect_left(self._keys, key)
        if at < len(rows) and self._keys[at] == key:
            rows[at] = instance
        else:
            rows.insert(at, instance)
            self._keys.insert(at, key)

    def done(self) -> Listing:
        return (
            self._listing if self._rows is None else Listing(tuple(self._rows), tuple(self._keys))
        )


# --- pages -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selected:
    """One page, the cursor of the next one, and how many fit in all."""

    items: tuple[Instance, ...]
    next_cursor: str | None
    total: int


def page(index: Index, request: ListInstances, visible: Fits | None = None) -> Selected:
    """The page that a request asks for, by owner, name and id.

    Without a filter only the page itself is visited. An instance that comes or goes between
    two pages is shown or not; no other is skipped or shown twice.

    Args:
        index: The instances, sorted.
        request: Filters, limit and cursor.
        visible: What the caller may see; None = everything.

    Raises:
        ValidationError: A cursor that no page gave, or a filter without a key.
    """
    listing = index.trash if request.trash else index.live
    tests = _tests(request) if visible is None else [visible, *_tests(request)]
    if tests:
        fits = _all_of(tests)
        listing = _listing([row for row in listing.rows if fits(row)])
    first = bisect_right(listing.keys, _read_cursor(request.cursor)) if request.cursor else 0
    last = first + request.limit
    more = last < len(listing.rows)
    return Selected(
        items=listing.rows[first:last],
        next_cursor=_cursor(listing.keys[last - 1]) if more else None,
        total=len(listing.rows),
    )


def _cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> Key:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return _keys.decode(base64.b64decode(padded, altchars="-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValidationError(
            "the cursor is not one that a page of this list gave",
            field="cursor",
            next_step="Use next_cursor of the page before, or leave it out to begin anew.",
            details={"cause": str(error)},
        ) from error


# --- fields ----------------------------------------------------------------------------------


@lru_cache(maxsize=128)
def _getters(fields: tuple[str, ...]) -> tuple[tuple[str, Callable[[Instance], Any]], ...]:
    known = instance_fields()
    for field in fields:
        if field not in known:
            near = nearest(field, known)
            raise ValidationError(
                f"an instance has no field {field!r}",
                field="fields",
                next_step=f"Did you mean {' or '.join(near)}?"
                if near
                else f"Known fields: {', '.join(Instance.__struct_fields__)}.",
            )
    return tuple((field, attrgetter(field)) for field in fields)


@lru_cache(maxsize=1)
def instance_fields() -> frozenset[str]:
    """Every field of an instance, those of its configuration as dotted paths."""
    return frozenset(_paths(Instance, ""))


def _paths(kind: type[msgspec.Struct], prefix: str) -> Iterable[str]:
    for field in msgspec.structs.fields(kind):
        yield prefix + field.name
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _paths(field.type, f"{prefix}{field.name}.")


def pick_fields(instance: Instance, fields: tuple[str, ...]) -> dict[str, Any]:
    """These fields alone, by the paths they were asked for (``config.resources.memory``).

    Raises:
        ValidationError: An unknown field; ``next_step`` names the nearest.
    """
    return {field: get(instance) for field, get in _getters(fields)}


# --- events ----------------------------------------------------------------------------------


def event_fits(
    event: Event, *, types: frozenset[EventType] = frozenset(), target: str | None = None
) -> bool:
    """Whether an event is of one of these types (none given: any) and of this instance."""
    return (not types or event.type in types) and (target is None or event.target == target)
