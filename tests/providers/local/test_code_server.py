"""The real code-server."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Network
from swarmd.messages.provider import Address, Observed
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.conftest import Make
from tests.providers.local.kit import PASSWORD, call, make_instance, running
from tests.support import require, wait_until

pytestmark = pytest.mark.code_server


@pytest.fixture
def real(make: Make, code_server_dir: Path, monkeypatch: pytest.MonkeyPatch) -> LocalProvider:
    """A provider on the managed code-server, started as from a terminal inside VS Code."""
    monkeypatch.setenv("SWARMD_SERVER_DIR", str(code_server_dir))
    monkeypatch.setenv("VSCODE_IPC_HOOK_CLI", "/tmp/no-such-socket")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return make(command=[])


def log_in(observed: Observed, password: str) -> tuple[int, str | None]:
    """Send the login form; the status and the cookie."""
    assert isinstance(observed.address, Address)
    connection = http.client.HTTPConnection(
        observed.address.host, observed.address.port, timeout=20
    )
    try:
        form = urllib.parse.urlencode({"password": password})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/login", form, kind)
        response = connection.getresponse()
        response.read()
        return response.status, response.getheader("Set-Cookie")
    finally:
        connection.close()


@pytest.mark.timeout(300)
def test_start_log_in_stop(real: LocalProvider) -> None:
    health = real.probe()
    assert health.ok
    assert health.version
    first, second = make_instance("first"), make_instance("second")
    for instance in (first, second):
        real.create(instance, call(60))
    seen = [real.start(instance, call(60)) for instance in (first, second)]
    assert [observed.status for observed in seen] == [InstanceStatus.RUNNING] * 2
    cookies = []
    for observed in seen:
        assert log_in(observed, "wrong")[0] == 200
        status, cookie = log_in(observed, PASSWORD)
        assert status == 302
        assert cookie is not None
        cookies.append(cookie.split("=")[0])
    assert cookies[0] != cookies[1]
    for pid in running(first.id):
        for part in ("cmdline", "environ"):
            assert PASSWORD.encode() not in Path(f"/proc/{pid}/{part}").read_bytes()
    assert "lastHeartbeat" in real.check(first, call())
    for instance in (first, second):
        assert real.stop(instance, call()).status is InstanceStatus.STOPPED
        assert running(instance.id) == []
    again = real.start(first, call(60))
    assert again.address == seen[0].address
    real.stop(first, call())


@pytest.mark.timeout(300)
def test_public_and_tls(
    make: Make, code_server_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl = shutil.which("openssl")
    require("openssl", openssl, "makes the certificate")
    monkeypatch.setenv("SWARMD_SERVER_DIR", str(code_server_dir))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    wish = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=here")
    made = (str(openssl), *wish, "-keyout", key, "-out", certificate)
    subprocess.run(made, check=True, capture_output=True)
    provider = make(command=[], tls_cert=certificate, tls_key=key)
    instance = make_instance(network=Network(enable_public_access=True))
    provider.validate(instance)
    provider.create(instance, call(60))
    address = provider.start(instance, call(60)).address
    assert address is not None
    assert address.tls
    assert address.host == socket.gethostname()
    assert "lastHeartbeat" in provider.check(instance, call())
    provider.stop(instance, call())


@pytest.mark.timeout(300)
def test_its_death_is_seen(real: LocalProvider) -> None:
    instance = make_instance()
    real.create(instance, call(60))
    real.start(instance, call(60))
    for pid in running(instance.id):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: real.list()[0].status is InstanceStatus.STOPPED)
    assert "SIGKILL" in str(real.list()[0].exit)
    assert real.start(instance, call(60)).status is InstanceStatus.RUNNING
    real.stop(instance, call())
