"""Bad input: a clear error, the right exit code, and nothing changed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as made_by
from pathlib import Path
from typing import Any

import pytest

from swarmd.errors import WIRE_TYPES
from tests.daemon import DaemonProcess, Refused, require_enforced

USAGE, NOT_FOUND, FAILED = 2, 3, 1


@dataclass(frozen=True)
class Case:
    """One wrong request and what must come of it. ``{folder}`` stands for the test's folder."""

    id: str
    type: str
    field: str | None
    exit: int
    config: dict[str, Any] = made_by(default_factory=dict)
    method: str = "instance.create"
    params: dict[str, Any] = made_by(default_factory=dict)


def bad(id: str, type: str, field: str | None, exit: int, **config: Any) -> Case:  # noqa: A002
    """A create that must be refused."""
    return Case(id, type, field, exit, config={"name": "new", **config})


CASES = [
    bad("name empty", "validation_error", "config.name", USAGE, name=""),
    bad("name too long", "validation_error", "config.name", USAGE, name="x" * 64),
    bad("name with a slash", "validation_error", "config.name", USAGE, name="a/b"),
    bad("name with dots", "validation_error", "config.name", USAGE, name=".."),
    bad("name with a newline", "validation_error", "config.name", USAGE, name="a\nb"),
    bad("name with an escape", "validation_error", "config.name", USAGE, name="a\x1b[2Jb"),
    bad("name taken", "conflict", "config.name", FAILED, name="taken"),
    bad(
        "memory without unit", "validation_error", "config.resources.memory", USAGE,
        resources={"memory": "12x"},
    ),
    bad(
        "memory beyond the provider", "resource_limit_error", "config.resources.memory", FAILED,
        resources={"memory": "900t"},
    ),
    bad("cpu 0", "validation_error", "config.resources.cpu", USAGE, resources={"cpu": 0}),
    bad("cpu -1", "validation_error", "config.resources.cpu", USAGE, resources={"cpu": -1}),
    bad(
        "cpu beyond the provider", "resource_limit_error", "config.resources.cpu", FAILED,
        resources={"cpu": 100000},
    ),
    bad("unknown provider", "provider_not_found", "config.provider", NOT_FOUND, provider="mars"),
    bad("unknown field", "validation_error", "config.colour", USAGE, colour="red"),
    bad("wrong type", "validation_error", "config.extensions", USAGE, extensions="python"),
    bad("field of other providers", "validation_error", "config.image", USAGE, image="busybox"),
    bad("region of other providers", "validation_error", "config.region", USAGE, region="fra"),
    bad("reserved variable", "validation_error", "config.env.PASSWORD", USAGE,
        env={"PASSWORD": "x"}),
    bad("no variable", "validation_error", "config.env", USAGE, env={"a=b": "x"}),
    bad("public without TLS", "validation_error", "config.network.enable_public_access", USAGE,
        network={"enable_public_access": True}),
    bad("workspace outside the roots", "validation_error", "config.workspace", USAGE,
        workspace="/etc"),
    bad("workspace by dots", "validation_error", "config.workspace", USAGE,
        workspace="{folder}/roots/../outside"),
    bad("workspace through a link", "validation_error", "config.workspace", USAGE,
        workspace="{folder}/roots/link"),
    bad("workspace that is none", "validation_error", "config.workspace", USAGE,
        workspace="{folder}/roots/nothing"),
    bad("git URL in the clear", "validation_error", "config.workspace", USAGE,
        workspace="http://127.0.0.1:1/nothing.git"),
    bad("git URL that fails", "provider_error", "config.workspace", FAILED,
        workspace="https://127.0.0.1:1/nothing.git"),
    bad("extension file that is none", "validation_error", "config.extensions[0]", USAGE,
        extensions=["/nowhere/x.vsix"]),
    bad("extension that is no id", "validation_error", "config.extensions[0]", USAGE,
        extensions=["; rm -rf /"]),
    bad("port taken", "provider_error", "config.network.ports", FAILED,
        network={"ports": [{"container_port": 8080, "host_port": "{taken}"}]}),
    Case("no such instance", "instance_not_found", "id", NOT_FOUND, method="instance.get",
         params={"id": "nobody"}),
    Case("no such operation", "operation_not_found", "id", NOT_FOUND, method="operation.get",
         params={"id": "01zzzzzzzz"}),
    Case("no such provider", "provider_not_found", "name", NOT_FOUND, method="provider.get",
         params={"name": "mars"}),
    Case("no id", "validation_error", "id", USAGE, method="instance.stop"),
    Case("unknown param", "validation_error", "colour", USAGE, method="instance.get",
         params={"id": "taken", "colour": 1}),
    Case("update to nonsense", "validation_error", "changes.resources.memory", USAGE,
         method="instance.update",
         params={"id": "taken", "changes": {"resources": {"memory": "12x"}}}),
    Case("update of what changed since", "conflict", "if_revision", FAILED,
         method="instance.update",
         params={"id": "taken", "changes": {"labels": {"a": "b"}}, "if_revision": 999}),
]  # fmt: skip


def state_of(daemon: DaemonProcess) -> tuple[Any, ...]:
    """Everything that a refused request must leave as it was."""
    records = sorted(path.read_text() for path in (daemon.state / "instances").glob("*.json"))
    folders = sorted(path.name for path in daemon.data.iterdir() if not path.name.startswith("."))
    return records, folders, daemon.instances(), daemon.instances(trash=True)


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DaemonProcess, Path]]:
    """One daemon for all cases, with one stopped instance that must stay as it is."""
    folder = tmp_path_factory.mktemp("bad")
    roots = folder / "roots"
    roots.mkdir()
    (folder / "outside").mkdir()
    (roots / "link").symlink_to(folder / "outside")
    with DaemonProcess(folder, options={"roots": [str(roots)]}).start() as daemon:
        daemon.call("instance.create", config={"name": "taken"}, start=False)
        yield daemon, folder


def filled(value: Any, folder: Path, port: int) -> Any:
    """A case's parameters with the test's own folder and port in place."""
    text = json.dumps(value).replace("{folder}", str(folder)).replace('"{taken}"', str(port))
    return json.loads(text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_input_is_refused_and_changes_nothing(
    case: Case, target: tuple[DaemonProcess, Path]
) -> None:
    daemon, folder = target
    section, _, limit = (case.field or "").rpartition(".")
    if case.type == "resource_limit_error" and section == "config.resources":
        require_enforced(daemon, limit)
    before = state_of(daemon)
    with taken_port() as port:
        given = {"config": case.config} if case.config else case.params
        params = filled(given, folder, port)
        with pytest.raises(Refused) as refused:
            daemon.call(case.method, **params)
        told = daemon.ctl("call", case.method, json.dumps(params), "-o", "json")
    error = refused.value
    assert (error.type, error.details.get("field")) == (case.type, case.field), error
    assert error.type in WIRE_TYPES
    assert error.details.get("next_step"), "an error says what to do"
    assert told.returncode == case.exit, told.stderr
    assert json.loads(told.stdout)["error"]["type"] == case.type
    assert "Traceback" not in told.stderr
    assert state_of(daemon) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_workspace_that_is_not_writable(target: tuple[DaemonProcess, Path]) -> None:
    daemon, folder = target
    closed = folder / "roots" / "closed"
    closed.mkdir(mode=0o500)
    before = state_of(daemon)
    with pytest.raises(Refused) as refused:
        daemon.create("new", workspace=str(closed))
    assert refused.value.details["field"] == "config.workspace"
    assert refused.value.details["next_step"]
    assert state_of(daemon) == before


def test_an_unknown_method_is_a_protocol_error(target: tuple[DaemonProcess, Path]) -> None:
    daemon, _ = target
    with pytest.raises(Refused) as refused:
        daemon.call("instance.fly")
    assert refused.value.code == -32601
    done = daemon.ctl("call", "instance.fly")
    assert done.returncode in {FAILED, USAGE}
    assert "instance.fly" in done.stderr


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"this is no JSON\n", -32700),
        (b'{"jsonrpc": "2.0", "id"\n', -32700),
        (b"\xff\xfe\n", -32700),
        (b'"text"\n', -32600),
        (b"[]\n", -32600),
        (b'{"jsonrpc": "2.0", "id": 1}\n', -32600),
        (b'{"id": 1, "method": "daemon.ping"}\n', -32600),
        (b'"' + b"x" * (1 << 20) + b'"\n', -32600),
    ],
    ids=["words", "cut off", "not UTF-8", "text", "empty batch", "no method", "no version", "huge"],
)
def test_a_bad_frame_is_answered_and_the_connection_lives_on(
    target: tuple[DaemonProcess, Path], frame: bytes, code: int
) -> None:
    daemon, _ = target
    with daemon.connect() as connection:
        connection.socket.sendall(frame)
        reply = connection.read()
        assert reply["error"]["code"] == code
        assert reply.get("id", 1) in {None, 1}
        assert connection.call("daemon.ping")["ok"] is True


def test_a_frame_cut_off_by_hanging_up_harms_nobody(target: tuple[DaemonProcess, Path]) -> None:
    daemon, _ = target
    with daemon.connect() as connection:
        connection.socket.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "daemon')
    assert daemon.answers()


def test_without_a_daemon_the_command_line_says_so(tmp_path: Path) -> None:
    environment = os.environ | {"SWARMD_SOCKET": str(tmp_path / "none.sock")}
    from tests.daemon import BIN

    done = subprocess.run(
        [BIN / "swarmctl", "ls"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 5
    assert "none.sock" in done.stderr
    assert "swarmd" in done.stderr
    assert done.stdout == ""
