from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.client.places import SYSTEM_SOCKET, find_socket
from swarmd.client.protocol import OperationStarted, Protocol, Reply, unreachable
from swarmd.client.typed import read_reply
from swarmd.configuration.places import resolve_places
from swarmd.errors import InternalError, ProviderError
from swarmd.messages.config import Config
from swarmd.messages.instance import Auth, InstanceConfig
from swarmd.messages.requests import (
    CreateInstance,
    DaemonVersion,
    ListInstances,
    Request,
    StopInstance,
)
from swarmd.messages.secret import Secret
from swarmd.messages.wire import Chunk

LINES = [
    b'{"jsonrpc":"2.0","id":1,"result":{"a":1}}',
    b'{"jsonrpc":"2.0","method":"operation.started","params":{"id":"o","kind":"k","target":"t"}}',
    b'{"jsonrpc":"2.0","method":"stream","params":{"stream":"s1","seq":3,"data_b64":"AAE="}}',
    b'{"jsonrpc":"2.0","method":"from.the.future","params":7}',
    (
        b'{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"no","data":'
        b'{"type":"provider_error","message":"no","details":{"cause":"x"}}}}'
    ),
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what"}}',
]


@given(cuts=st.lists(st.integers(1, 40), max_size=40))
def test_messages_are_the_same_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    protocol, rest, found = Protocol(), b"".join(line + b"\n" for line in LINES), []
    for cut in [*cuts, 10_000]:
        found += protocol.feed(rest[:cut])
        rest = rest[cut:]
    result, started, chunk, refused, broken = found
    assert isinstance(result, Reply)
    assert bytes(result.result) == b'{"a":1}'
    assert started == OperationStarted(id="o", kind="k", target="t")
    assert isinstance(chunk, Chunk)
    assert chunk.bytes == b"\x00\x01"
    assert isinstance(refused, Reply)
    assert isinstance(refused.error, ProviderError)
    assert refused.error.details == {"cause": "x"}
    assert isinstance(broken, Reply)
    assert (broken.id, str(broken.error)) == (None, "what")


def test_a_request_sends_only_what_was_said_and_secrets_in_the_clear() -> None:
    protocol = Protocol()
    config = InstanceConfig(name="web", auth=Auth(credentials=Secret("pw")))
    request_id, data = protocol.request("instance.create", CreateInstance(config=config))
    assert data.endswith(b"\n")
    sent = json.loads(data)
    assert (sent["jsonrpc"], sent["id"]) == ("2.0", request_id)
    assert set(sent["params"]) == {"config"}
    assert sent["params"]["config"]["auth"]["credentials"] == "pw"
    _, data = protocol.request("instance.list", ListInstances(limit=5), correlation="c")
    assert json.loads(data)["params"] == {"limit": 5}
    assert json.loads(data)["correlation"] == "c"
    assert json.loads(protocol.request("daemon.ping")[1])["params"] == {}


def test_what_is_not_the_protocol_is_told() -> None:
    with pytest.raises(InternalError):
        Protocol().feed(b"hello\n")


def test_an_event_has_no_bytes() -> None:
    assert Chunk(stream="s", seq=0, data={"seq": 1}).bytes == b""
    assert Chunk(stream="s", seq=0, data="ü").bytes == "ü".encode()


def test_a_permission_is_asked_for_and_a_daemon_started() -> None:
    assert "group" in str(unreachable("/s", PermissionError(13, "no")).next_step)
    assert "Start" in str(unreachable("/s", FileNotFoundError(2, "no")).next_step)


def test_the_socket_is_looked_for_in_order(tmp_path: Path) -> None:
    runtime, home = tmp_path / "run", tmp_path / "home"
    env = {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(home), "XDG_STATE_HOME": "relative"}
    assert find_socket(None, env, uid=1000) == SYSTEM_SOCKET
    own = home / ".local/state/swarmd/swarmd.sock"
    own.parent.mkdir(parents=True)
    own.touch()
    assert find_socket(None, env, uid=1000) == str(own)
    first = runtime / "swarmd/swarmd.sock"
    first.parent.mkdir(parents=True)
    first.touch()
    assert find_socket(None, env, uid=1000) == str(first)
    assert find_socket(None, env, uid=0) == SYSTEM_SOCKET
    state = {"SWARMD_STATE_DIR": str(own.parent)}
    assert find_socket(None, state, uid=1000) == str(own)
    env["SWARMD_SOCKET"] = "/from/env"
    assert find_socket(None, env, uid=1000) == "/from/env"
    assert find_socket("/given", env, uid=1000) == "/given"
    assert find_socket("/given") == "/given"


def test_whoever_had_a_daemon_of_their_own_is_told_of_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket goes with it; what root's daemon allows is another matter."""
    env = {"HOME": str(tmp_path)}
    own = tmp_path / ".local/state/swarmd/swarmd.sock"
    own.parent.mkdir(parents=True)
    assert find_socket(None, env, uid=1000) == str(own)
    monkeypatch.setattr(os.path, "exists", lambda path: path == SYSTEM_SOCKET)
    assert find_socket(None, env, uid=1000) == SYSTEM_SOCKET


@pytest.mark.parametrize(
    "env",
    [
        {"HOME": "/home/ana"},
        {"HOME": "/home/ana", "XDG_RUNTIME_DIR": "/run/user/7"},
        {"HOME": "/home/ana", "XDG_STATE_HOME": "/state", "XDG_RUNTIME_DIR": "relative"},
        {"HOME": "/home/ana", "SWARMD_STATE_DIR": "/s"},
        {"HOME": "/home/ana", "SWARMD_SOCKET": "/x.sock"},
    ],
)
@pytest.mark.parametrize("uid", [0, 7])
def test_the_client_looks_where_the_daemon_listens(
    env: dict[str, str], uid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    listens = resolve_places(Config(), env, uid=uid).socket
    monkeypatch.setattr(os.path, "exists", lambda path: path == listens)
    assert find_socket(None, env, uid=uid) == listens


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        pytest.param(DaemonVersion(), b'{"version": 3}', id="another type"),
        pytest.param(DaemonVersion(), b"", id="nothing"),
        pytest.param(ListInstances(), b'{"items": [{"id": 7}], "total": 1}', id="a row"),
        pytest.param(StopInstance(id="web"), b'{"kind": "unheard of"}', id="an operation"),
    ],
)
def test_an_answer_of_another_version_says_what_to_do(request_: Request, answer: bytes) -> None:
    """As any other error, or it gets past whoever is ready for those."""
    with pytest.raises(InternalError, match="what this version does not know") as caught:
        read_reply(request_, msgspec.Raw(answer))
    assert "same version" in str(caught.value.next_step)
    assert caught.value.details["mismatch"]
