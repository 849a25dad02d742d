"""A webhook over real HTTP: what is sent, and what is made of each answer."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmd.errors import SwarmError, Unavailable, ValidationError
from swarmd.messages.config import AlertingConfig, WebhookConfig
from swarmd.messages.enums import AlertChange
from swarmd.messages.units import Duration
from swarmd.ports import Sink
from swarmd.sinks import make_sinks
from swarmd.sinks.webhook import WebhookSink
from tests.sinks.notices import notice
from tests.sinks.receiver import Receiver
from tests.support import free_port


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver().start()
    yield made
    made.close()


def sink(url: str, **more: Any) -> WebhookSink:
    made = make_sinks(
        AlertingConfig(log=False, webhooks=(WebhookConfig(name="ops", url=url, **more),)), "n1"
    )
    assert isinstance(made[0], WebhookSink)
    return made[0]


def deliver(made: Sink, **more: Any) -> None:
    try:
        made.deliver(notice(**more))
    finally:
        made.close()


def test_what_is_sent(receiver: Receiver) -> None:
    deliver(sink(receiver.url), change=AlertChange.RESOLVED)
    [told], [headers] = receiver.told, receiver.headers
    assert told == {
        "version": 1,
        "id": "a1",
        "state": "resolved",
        "at": "2026-01-01T00:00:00Z",
        "node": "n1",
        "type": "provider_down",
        "severity": "error",
        "subject": "box",
        "target": "box",
        "owner": None,
        "message": "Provider box does not work: no engine",
        "details": {"reason": "no engine"},
        "raised_at": "2026-01-01T00:00:00Z",
        "acknowledged_at": None,
        "acknowledged_by": None,
        "note": None,
        "resolved_at": None,
    }
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "a1-resolved"
    assert "Authorization" not in headers


def test_one_sink_sends_many(receiver: Receiver) -> None:
    made = sink(receiver.url)
    for number in range(3):
        made.deliver(notice(number))
    made.close()
    assert [each["id"] for each in receiver.told] == ["a0", "a1", "a2"]


@pytest.mark.parametrize(
    ("header", "sent"),
    [("Authorization", "Bearer t0ken"), ("authorization", "Bearer t0ken"), ("X-Api-Key", "t0ken")],
)
def test_a_token_from_a_file(receiver: Receiver, tmp_path: Path, header: str, sent: str) -> None:
    file = tmp_path / "token"
    file.write_text("t0ken\nnothing of this\n")
    made = sink(receiver.url, token=f"file:{file}", header=header)
    made.deliver(notice())
    assert receiver.headers[-1][header] == sent
    file.write_text("another\n")  # replaced while the daemon runs
    deliver(made)
    assert receiver.headers[-1][header].endswith("another")


def test_a_url_that_is_a_secret(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", receiver.url)
    made = sink("env:HOOK")
    assert made.where == "env:HOOK"
    deliver(made)
    assert receiver.paths == ["/hook/s3cret-path"]
    assert sink(receiver.url).where == f"http://127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    ("code", "error"),
    [(500, Unavailable), (503, Unavailable), (429, Unavailable), (404, Unavailable),
     (401, Unavailable), (302, Unavailable), (400, ValidationError), (422, ValidationError)],
)  # fmt: skip
def test_answers(receiver: Receiver, code: int, error: type[SwarmError]) -> None:
    receiver.answers = [code]
    with pytest.raises(error) as caught:
        deliver(sink(receiver.url))
    assert caught.type is error
    assert f"answers {code}: no thanks" in caught.value.message
    assert "s3cret" not in caught.value.message
    assert not receiver.told  # a redirect was not followed either


def test_nobody_is_there_and_then_somebody_is() -> None:
    receiver = Receiver(free_port())
    made = sink(receiver.url)
    with pytest.raises(Unavailable, match="does not answer") as caught:
        made.deliver(notice())
    assert "s3cret" not in str(caught.value.details) + caught.value.message
    receiver.start()
    deliver(made)
    assert len(receiver.told) == 1
    receiver.close()


def test_one_that_takes_the_connection_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        with pytest.raises(Unavailable, match="does not answer"):
            deliver(sink(url, timeout=Duration(0.2)))


def test_one_that_never_stops_answering() -> None:
    """Only so much of an answer is read as is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            # The other side hangs up in the middle of it.
            with client, contextlib.suppress(ConnectionError):
                client.recv(65536)
                client.sendall(b"HTTP/1.1 500 No\r\n\r\n" + b"x" * 100_000)
                client.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unavailable) as caught:
            deliver(sink(f"http://127.0.0.1:{listener.getsockname()[1]}/x"))
        thread.join(5)
        assert not thread.is_alive()
        assert len(caught.value.message) < 300


def test_a_url_from_a_file_is_held_to_the_same_rules(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("http://alerts.example.org/s3cret")
    with pytest.raises(Unavailable, match="in the clear") as caught:
        deliver(sink(f"file:{file}"))
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "No such file"), (b"", "empty"), (b"\n", "empty"), (b"\xff\xfe", "UTF-8"),
     ("tök\x01en".encode(), "cannot be sent")],
)  # fmt: skip
def test_tokens_that_cannot_be_used(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Unavailable, match=told) as caught:
        deliver(sink("http://127.0.0.1:1/x", token=f"file:{file}"))
    assert caught.value.field == "alerting.webhooks.ops.token"


def test_a_credential_of_systemd(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sink(receiver.url, token="credential:ops")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(Unavailable, match="cannot be read"):
        made.deliver(notice())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "ops").write_text("t0ken")
    deliver(made)
    assert receiver.headers[0]["Authorization"] == "Bearer t0ken"


def test_the_library_writes_nothing_secret_into_the_log(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("t0ken")
    with caplog.at_level(logging.DEBUG):
        deliver(sink(receiver.url, token=f"file:{file}"))
    assert receiver.told
    assert "s3cret" not in caplog.text
    assert "t0ken" not in caplog.text
