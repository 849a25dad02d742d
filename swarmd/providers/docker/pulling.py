"""Fetching an image: the login, the engine's stream of lines, and how far it is."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from swarmd.errors import ProviderError, ProviderUnreachable, ResourceLimitError, SwarmError
from swarmd.ports import Call
from swarmd.providers.docker.errors import Faults

_MEGA = 1_000_000
_PROGRESS_SECONDS = 0.25
_DONE = ("Pull complete", "Already exists")
_NOT_LET_IN = ("denied", "unauthorized", "authentication", "credentials", "login")
_LINE_BYTES = 4 << 20
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")
"""Names of the registry that is meant where an image names none."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are at a registry."""

    user: str
    password: str = field(repr=False)

    def header(self, image: str) -> str:
        """The value of ``X-Registry-Auth`` for this image."""
        said = {
            "username": self.user,
            "password": self.password,
            "serveraddress": registry_of(image),
        }
        return base64.urlsafe_b64encode(json.dumps(said).encode()).decode()


def registry_of(image: str) -> str:
    """The host that an image comes from."""
    first, slash, _ = image.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return first if named and first not in _HUB else "https://index.docker.io/v1/"


def query_of(image: str) -> str:
    """The query that asks for one image: without a tag, every one of it would come."""
    name, at, digest = image.partition("@")
    if at:
        return urlencode({"fromImage": name, "tag": digest})
    head, colon, tag = image.rpartition(":")
    if colon and "/" not in tag:
        return urlencode({"fromImage": head, "tag": tag})
    return urlencode({"fromImage": image, "tag": "latest"})


class Layers:
    """How far each layer is."""

    def __init__(self) -> None:
        self._bytes: dict[str, tuple[int, int]] = {}
        self._known: dict[str, bool] = {}

    def take(self, line: Mapping[str, Any]) -> None:
        """Learn from one line of the engine."""
        layer, status = line.get("id"), str(line.get("status", ""))
        if not isinstance(layer, str) or status.startswith(("Pulling from", "Digest", "Status")):
            return
        self._known[layer] = self._known.get(layer, False) or status in _DONE
        detail = line.get("progressDetail")
        detail = detail if isinstance(detail, Mapping) else {}
        have, total = detail.get("current"), detail.get("total")
        if status == "Downloading" and isinstance(have, int):
            known = self._bytes.get(layer, (0, 0))[1]
            self._bytes[layer] = (have, total if isinstance(total, int) and total > 0 else known)
        elif status in ("Download complete", *_DONE) and layer in self._bytes:
            total = self._bytes[layer][1]
            self._bytes[layer] = (total, total)

    @property
    def message(self) -> str:
        """As in "layer 3 of 9, 120 MB of 300 MB"; empty before the first layer."""
        if not self._known:
            return ""
        done = sum(self._known.values())
        layers = f"layer {min(done + 1, len(self._known))} of {len(self._known)}"
        if not self._total:
            return layers
        return f"{layers}, {self._have // _MEGA} MB of {self._total // _MEGA} MB"

    @property
    def fraction(self) -> float | None:
        """Of the bytes that are known of."""
        return min(1.0, self._have / self._total) if self._total else None

    @property
    def _have(self) -> int:
        return sum(have for have, _ in self._bytes.values())

    @property
    def _total(self) -> int:
        return sum(total for _, total in self._bytes.values())


def follow(pieces: Iterable[bytes], image: str, call: Call, faults: Faults) -> None:
    """Read a pull to its end.

    Raises:
        ProviderError: The engine says that it failed; names image, engine and reason.
        OperationCancelled, DeadlineExceeded: The call must end.
    """
    layers, told, shown = Layers(), "", float("-inf")
    for line in json_lines(pieces):
        call.check()
        if reason := _error_in(line):
            raise not_pulled(image, reason, faults)
        layers.take(line)
        now = call.clock()
        if layers.message != told and now - shown >= _PROGRESS_SECONDS:
            told, shown = layers.message, now
            call.progress(told, layers.fraction)
    if layers.message != told:
        call.progress(layers.message, layers.fraction)


def not_pulled(
    image: str, reason: str, faults: Faults, error: SwarmError | None = None
) -> SwarmError:
    """The error of an image that did not come.

    Args:
        image: Its name.
        reason: The registry's or the engine's words.
        faults: Names the engine.
        error: What the engine's refusal was taken for, if it refused at once.
    """
    kept = isinstance(error, (ProviderUnreachable, ResourceLimitError))
    kind = type(error) if error and kept else ProviderError
    return kind(
        f"the image {image} could not be fetched by {faults.engine}: {reason}",
        field="config.image",
        next_step=_next_step(reason.lower()),
        details={"cause": reason, "image": image, "engine": faults.url},
    )


def _next_step(reason: str) -> str:
    if any(said in reason for said in _NOT_LET_IN):
        return "Correct the image's name, or give registry_user and registry_password."
    if any(said in reason for said in ("not found", "manifest unknown", "does not exist")):
        return "Correct the image's name and tag."
    return (
        "Let the engine's host reach the image's registry, or load the image into the engine "
        "(docker load) and set pull to missing."
    )


def _error_in(line: Mapping[str, Any]) -> str:
    detail = line.get("errorDetail")
    said = detail.get("message") if isinstance(detail, Mapping) else None
    return str(said or line.get("error") or "")


def json_lines(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream, one in a line.

    Raises:
        http.client.HTTPException: It is something else.
    """
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (_object(line) for line in lines if line.strip())
        if len(rest) > _LINE_BYTES:
            raise http.client.LineTooLong("line of JSON")
    if rest.strip():
        yield _object(rest)


def _object(line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise http.client.BadStatusLine(repr(line[:80]))
    return parsed
