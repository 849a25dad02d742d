"""A small registry on loopback: an image that a real engine can fetch."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """Serves one image, ``127.0.0.1:port/swarmd/thing:1``.

    Args:
        layers: How many, of one megabyte that does not compress each.
        login: ``user:password`` that it wants.
    """

    def __init__(self, *, layers: int = 3, login: str = "") -> None:
        self.login = login
        self.stall = threading.Event()
        """Set: layers come to their half and no further, until ``over``."""
        self.stalled = threading.Event()
        self.over = threading.Event()
        self.authorizations: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self.manifest = self._make(layers)
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.serve(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                """Nothing on the console."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def image(self) -> str:
        return f"127.0.0.1:{self._server.server_port}/swarmd/thing:1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        given = request.headers.get("Authorization", "")
        self.authorizations.append(given)
        wanted = "Basic " + base64.b64encode(self.login.encode()).decode()
        if self.login and given != wanted:
            self._send(request, 401, b"{}", "application/json")
            return
        if request.path == "/v2/":
            self._send(request, 200, b"{}", "application/json")
        elif request.path.rpartition("/manifests/")[2] in ("1", _digest(self.manifest)):
            self._send(request, 200, self.manifest, _MANIFEST)
        elif blob := self.blobs.get(request.path.rpartition("/")[2]):
            self._send(request, 200, blob, "application/octet-stream")
        else:
            body = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
            self._send(request, 404, body, "application/json")

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str) -> None:
        request.send_response(status)
        if status == 401:
            request.send_header("WWW-Authenticate", 'Basic realm="test"')
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        request.send_header("Docker-Content-Digest", _digest(body))
        request.end_headers()
        if request.command == "HEAD":
            return
        if self.stall.is_set() and len(body) > 100_000:
            request.wfile.write(body[: len(body) // 2])
            self.stalled.set()
            self.over.wait(30)
            return
        request.wfile.write(body)

    def _make(self, layers: int) -> bytes:
        tars = [_layer(f"file{number}") for number in range(layers)]
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Labels": {"dev.swarmd.test": "registry"}},
                "rootfs": {"type": "layers", "diff_ids": [_digest(tar) for tar in tars]},
            }
        ).encode()
        packed = [gzip.compress(tar, 1) for tar in tars]
        self.blobs = {_digest(blob): blob for blob in (config, *packed)}
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {"mediaType": _CONFIG, "size": len(config), "digest": _digest(config)},
                "layers": [
                    {"mediaType": _LAYER, "size": len(blob), "digest": _digest(blob)}
                    for blob in packed
                ],
            }
        ).encode()


def _layer(name: str) -> bytes:
    buffer, content = io.BytesIO(), os.urandom(1_000_000)
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
