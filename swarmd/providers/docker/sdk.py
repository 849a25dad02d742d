"""The SDK's client, on connections of our own: one way to connect and one deadline for all."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
import urllib3
from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import APIError, DockerException, InvalidVersion
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from swarmd.errors import ProviderError, SwarmError
from swarmd.providers.docker.errors import Faults, message_of, no_reason
from swarmd.providers.docker.sockets import Opener, PatientSocket

FAILURES = (
    DockerException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
    KeyError,
    TypeError,
)
"""What the SDK and the libraries below it raise, odd answers included."""

_BASE = "tcp://docker:2375"
_deadline: ContextVar[float] = ContextVar("deadline")


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Let every request of this thread end by the deadline (``time.monotonic()``)."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class EngineConnection(HTTPConnection):
    """A pooled connection that the opener made; plain HTTP upon it, whatever lies below."""

    def __init__(self, host: str, *, opener: Opener, **options: Any) -> None:
        super().__init__(host, **options)
        self._opener = opener

    def connect(self) -> None:
        """Connect, by the deadline of the running call."""
        self.sock = self._opener.open(_deadline.get())

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request; the deadline is that of the running call, also on a kept connection."""
        if isinstance(self.sock, PatientSocket):
            self.sock.deadline = _deadline.get()
        super().request(*args, **options)


class EnginePool(urllib3.HTTPConnectionPool):
    """Keeps connections to one engine."""

    ConnectionCls = EngineConnection


class EngineAdapter(HTTPAdapter):
    """Hands every request to the one pool; no proxy stands between."""

    def __init__(self, opener: Opener, size: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self._pool = EnginePool("docker", maxsize=size, opener=opener)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> EnginePool:
        """The pool."""
        return self._pool

    def get_connection(self, *_: Any, **__: Any) -> EnginePool:
        """The pool, for a requests library older than 2.32."""
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:  # noqa: ARG002
        """The path alone."""
        return request.path_url

    def close(self) -> None:
        """Close what is kept."""
        super().close()
        self._pool.close()


def make_client(opener: Opener, size: int, known: APIClient | None) -> APIClient:
    """A client that speaks the engine's version of the API.

    Args:
        opener: Makes connections.
        size: So many of them are kept.
        known: The last one, which is handed back if the engine's version is still the same.

    Raises:
        ProviderError: The engine is too old for the SDK.
    """
    client = known or _client(opener, size, DEFAULT_DOCKER_API_VERSION)
    version = str(client.version(api_version=False)["ApiVersion"])
    if version == client.api_version:
        return client
    try:
        return _client(opener, size, version)
    except InvalidVersion as error:
        raise ProviderError(
            f"{opener.faults.engine} speaks version {version} of the API, which is too old",
            next_step="Use a newer engine.",
            details={"cause": str(error)},
        ) from error


def _client(opener: Opener, size: int, version: str) -> APIClient:
    client = APIClient(base_url=_BASE, version=version)
    # The deadline of the sockets holds for the call as a whole; requests knows none such.
    client.timeout = None  # type: ignore[assignment]
    client.trust_env = False
    client.mount("http://", EngineAdapter(opener, size))
    return client


def translate(error: BaseException, doing: str, opener: Opener) -> SwarmError:
    """The error that one of ``FAILURES`` stands for."""
    if isinstance(error, APIError) and error.response is not None:
        return _refusal(error.response, doing, opener.faults)
    if isinstance(error, InvalidVersion):
        return ProviderError(
            f"{doing} failed: {opener.faults.engine} is too old: {error}",
            next_step="Use a newer engine.",
            details={"cause": str(error)},
        )
    odd = isinstance(error, (ValueError, KeyError, TypeError)) and not isinstance(error, OSError)
    if odd or isinstance(error, requests.exceptions.InvalidJSONError):
        return opener.faults.alien("its answer is not what an engine says", repr(error))
    return opener.lost(error, doing)


def _refusal(response: requests.Response, doing: str, faults: Faults) -> SwarmError:
    words = message_of(response.content)
    if words is None:
        return faults.alien(no_reason(response.status_code, response.content))
    return faults.refused(response.status_code, words, doing)


def call(
    client: APIClient,
    method: str,
    path: str,
    query: Mapping[str, str],
    body: Mapping[str, Any] | None = None,
) -> Any:
    """A request that the SDK has no method for, or changes on the way.

    Args:
        client: The SDK's.
        method: HTTP's.
        path: Below the version of the API, quoted.
        query: Names and values.
        body: JSON.

    Raises:
        APIError: The engine refused.
    """
    url = f"{client.base_url}/v{client.api_version}{path}"
    response = client.request(method, url, params=query, json=body)
    if response.status_code >= 400:
        raise APIError(f"status {response.status_code}", response=response)
    return response.json()
