"""A receiver over HTTP: one POST of JSON for each alert."""

from __future__ import annotations

import logging
import ssl
from urllib.parse import urlsplit

import httpx

from swarmd.core.alerts.receivers import is_clear, is_loopback, shown, why_not
from swarmd.errors import Unavailable, ValidationError
from swarmd.messages.alert import Notice
from swarmd.messages.config import WebhookConfig
from swarmd.messages.secret import MASK, Secret
from swarmd.ports import Endurance
from swarmd.sinks.payload import payload
from swarmd.sinks.secrets import read_secret

_NEVER = frozenset({400, 405, 410, 411, 413, 414, 415, 422, 431})
"""Answers to what was sent and not to who sent it, and when: the same would be answered again."""

_WORDS = 200

for _library in ("httpx", "httpcore"):
    # They would write whole URLs, and at the level of debug headers, into the daemon's log.
    logging.getLogger(_library).setLevel(logging.WARNING)


class WebhookSink:
    """One ``[[alerting.webhooks]]``.

    Redirects are not followed: they would take the token elsewhere. The host's own
    certificate authorities are trusted.

    Args:
        config: The table.
        node: This daemon's id.
    """

    def __init__(self, config: WebhookConfig, *, node: str) -> None:
        self._config = config
        self._node = node
        self._client: httpx.Client | None = None
        self._origin = ""
        self.name = config.name
        self.where = config.url
        self.insecure = config.insecure
        if why_not(config.url, insecure=True) is None:
            self.where = shown(config.url)
            self.insecure = is_clear(config.url)
        self.endurance = Endurance(float(config.deadline))

    def deliver(self, notice: Notice) -> None:
        """Post it. Raises as ``ports.Sink`` says."""
        url, token = self._url(), self._token()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "swarmd",
            "Idempotency-Key": f"{notice.alert.id}-{notice.change}",
            **{name: secret.reveal() for name, secret in token.items()},
        }
        try:
            self._post(url, payload(notice, self._node), headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            self.close()
            why = _without(str(error), url, *token.values()) or type(error).__name__
            # Not "from": the words of the error underneath may hold what is secret.
            raise Unavailable(f"{shown(url)} does not answer: {why}") from None

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        request = self._opened(url).stream("POST", url, content=body, headers=headers)
        with request as answer:
            if not answer.is_success:
                # No more of it than is told: what answers may go on for ever.
                words = next(answer.iter_bytes(_WORDS), b"").decode("utf-8", "replace")
                raise self._refused(answer, url, words.strip())

    def _url(self) -> str:
        url = read_secret(self._config.url, self._field("url")).reveal()
        refused = why_not(url, insecure=self._config.insecure)
        if refused is not None:
            raise Unavailable(
                f"{self._field('url')} is not used: {refused}",
                field=self._field("url"),
                next_step="Name an https:// URL, or http:// on this machine.",
            )
        return url

    def _token(self) -> dict[str, Secret]:
        if not self._config.token:
            return {}
        token = read_secret(self._config.token, self._field("token"))
        header = self._config.header
        if header.lower() == "authorization":
            token = Secret(f"Bearer {token.reveal()}")
        return {header: token}

    def _field(self, key: str) -> str:
        return f"alerting.webhooks.{self.name}.{key}"

    def _opened(self, url: str) -> httpx.Client:
        origin, host = shown(url), httpx.URL(url).host
        if self._client is None or origin != self._origin:
            self.close()
            self._origin = origin
            self._client = httpx.Client(
                timeout=float(self._config.timeout),
                follow_redirects=False,
                verify=ssl.create_default_context() if url.startswith("https:") else False,
                # A proxy is for the world outside of this machine.
                trust_env=not is_loopback(host),
            )
        return self._client

    @staticmethod
    def _refused(answer: httpx.Response, url: str, words: str) -> Unavailable | ValidationError:
        said = f"{shown(url)} answers {answer.status_code}{f': {words}' if words else ''}"
        if answer.status_code in _NEVER:
            return ValidationError(said)
        if answer.is_redirect:
            said += " (redirects are not followed)"
        return Unavailable(said)

    def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _without(text: str, url: str, *secrets: Secret) -> str:
    """Words without what nobody is to see: a URL beyond its host, a token."""
    for hidden in (url, urlsplit(url).path.strip("/"), *(each.reveal() for each in secrets)):
        if hidden:
            text = text.replace(hidden, MASK)
    return text
