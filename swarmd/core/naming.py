"""Names of instances and owners, and finding the instance that a reference means (DESIGN 2)."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from swarmd.errors import InstanceNotFound, ValidationError
from swarmd.messages.instance import Instance

MAX_NAME = 63
MIN_PREFIX = 4
MAX_LISTED = 5
MAX_COMPARED = 500

_ALPHABET = re.compile(r"[A-Za-z0-9._-]*", re.ASCII)
_ULID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}", re.ASCII)
_PREFIX = re.compile(r"[0-9a-hjkmnp-tv-z]+", re.ASCII)
_FORM = "Use 1 to 63 letters, digits, dots, underscores or hyphens, such as web-1."


def check_name(name: str, field: str = "config.name") -> None:
    """Refuse a name that is not safe in labels, file names and URLs.

    Raises:
        ValidationError: Empty, too long, with a slash, a control character or another
            character, or not beginning and ending with a letter or digit.
    """
    problem = _problem(name)
    if problem is not None:
        raise ValidationError(problem, field=field, next_step=_FORM)


def check_owner(owner: str, field: str = "owner") -> None:
    """Refuse an owner's name that is not safe; the rules are those of ``check_name``."""
    problem = _problem(owner, noun="owner")
    if problem is not None:
        raise ValidationError(problem, field=field, next_step=_FORM)


def _problem(name: str, *, noun: str = "name") -> str | None:
    if not name:
        return f"the {noun} is empty"
    if len(name) > MAX_NAME:
        return f"the {noun} has {len(name)} characters, more than {MAX_NAME}: {name[:20]!r}…"
    if "/" in name or "\\" in name:
        return f"the {noun} {name!r} contains a slash"
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
        return f"the {noun} {name!r} contains a control character"
    if _ALPHABET.fullmatch(name) is None:
        odd = next(c for c in name if _ALPHABET.fullmatch(c) is None)
        return f"the {noun} {name!r} contains {odd!r}"
    if not (name[0].isalnum() and name[-1].isalnum()):
        return f"the {noun} {name!r} does not begin and end with a letter or digit"
    return None


class ParsedRef(NamedTuple):
    """What a reference can mean: each form that its text allows."""

    id: str | None = None
    key: tuple[str, str] | None = None
    prefix: str | None = None


def parse_ref(ref: str, caller_name: str) -> ParsedRef:
    """Read a reference without looking anything up.

    Args:
        ref: An id, ``owner/name``, ``name`` or the beginning of an id.
        caller_name: Whose instance a bare name means first.

    Raises:
        ValidationError: The reference is empty.
    """
    text = ref.strip()
    if not text:
        raise ValidationError(
            "the reference is empty",
            field="id",
            next_step="Give an id, a name, owner/name or the first characters of an id.",
        )
    if "/" in text:
        owner, _, name = text.partition("/")
        return ParsedRef(key=(owner, name))
    lower = text.lower()
    return ParsedRef(
        id=lower if _ULID.fullmatch(lower) else None,
        key=(caller_name, text),
        prefix=lower if len(lower) >= MIN_PREFIX and _PREFIX.fullmatch(lower) else None,
    )


def resolve(
    ref: str,
    *,
    caller: str,
    by_id: Mapping[str, Instance],
    by_name: Mapping[tuple[str, str], str],
    sorted_ids: Sequence[str] | None = None,
    admin: bool = True,
    field: str = "id",
) -> Instance:
    """Find the instance that a reference means.

    In this order: the id, ``owner/name``, the caller's own name, a unique id prefix of at
    least four characters, and for an admin a name that only one owner uses.

    Args:
        ref: What was written.
        caller: The name of the user who asks.
        by_id: Every instance that the caller may see.
        by_name: Their ids by (owner, name).
        sorted_ids: The ids in order, if the caller keeps them; else all are looked through.
        admin: Whether a bare name may mean another owner's instance.
        field: Which input to blame.

    Raises:
        InstanceNotFound: Nothing of this name; ``next_step`` says what is near.
        ValidationError: A prefix or a name fits several.
    """
    parsed = parse_ref(ref, caller)
    if parsed.id is not None and parsed.id in by_id:
        return by_id[parsed.id]
    if parsed.key is not None and (found := by_name.get(parsed.key)) is not None:
        return by_id[found]
    if parsed.prefix is not None:
        ids = sorted_ids if sorted_ids is not None else by_id
        if fits := _with_prefix(parsed.prefix, ids):
            return by_id[_only(ref, fits, by_id, field, "an id that begins like this")]
    if admin and "/" not in ref and (namesakes := _namesakes(parsed, by_name)):
        return by_id[_only(ref, namesakes, by_id, field, "this name")]
    raise _not_found(ref, caller, by_name, field)


def _with_prefix(prefix: str, ids: Sequence[str] | Mapping[str, Instance]) -> list[str]:
    if not isinstance(ids, Sequence):
        return [id_ for id_ in ids if id_.startswith(prefix)]
    first = bisect_left(ids, prefix)
    fits = []
    for id_ in ids[first : first + MAX_LISTED + 1]:
        if not id_.startswith(prefix):
            break
        fits.append(id_)
    return fits


def _namesakes(parsed: ParsedRef, by_name: Mapping[tuple[str, str], str]) -> list[str]:
    """Whatever bears the name, whoever owns it."""
    if parsed.key is None:
        return []
    return [id_ for (_, name), id_ in by_name.items() if name == parsed.key[1]]


def _only(
    ref: str, ids: Sequence[str], by_id: Mapping[str, Instance], field: str, what: str
) -> str:
    if len(ids) == 1:
        return ids[0]
    shown = [f"{by_id[id_].ref} ({id_})" for id_ in sorted(ids)[:MAX_LISTED]]
    more = ", …" if len(ids) > MAX_LISTED else ""
    raise ValidationError(
        f"{ref!r} fits several instances: {', '.join(shown)}{more}",
        field=field,
        next_step=f"More than one has {what}: write owner/name or more of the id.",
        details={"candidates": sorted(ids)[:MAX_LISTED]},
    )


def _not_found(
    ref: str, caller: str, by_name: Mapping[tuple[str, str], str], field: str
) -> InstanceNotFound:
    near = nearest(ref, _spellings(ref, caller, by_name))
    hint = f"Did you mean {' or '.join(near)}?" if near else "See swarmctl ls for what there is."
    return InstanceNotFound(f"there is no instance {ref!r}", field=field, next_step=hint)


def _spellings(ref: str, caller: str, by_name: Mapping[tuple[str, str], str]) -> list[str]:
    """Names of about this length, as the caller would write them; never too many to compare."""
    spellings = (name if owner == caller else f"{owner}/{name}" for owner, name in by_name)
    return list(islice((s for s in spellings if abs(len(s) - len(ref)) <= 3), MAX_COMPARED))


def nearest(word: str, known: Iterable[str], n: int = 3) -> tuple[str, ...]:
    """Up to ``n`` known words that look like this one, the nearest first.

    Case is not counted, and a word that begins like this one is near as well. Only the word's
    first 100 characters are looked at: comparing takes long, and whoever sends more means none.
    """
    word = word[:100]
    by_lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=n, cutoff=0.6)
    if not close and len(word) >= 3:
        close = sorted(k for k in by_lower if k.startswith(word.lower()))[:n]
    return tuple(by_lower[k] for k in close)
