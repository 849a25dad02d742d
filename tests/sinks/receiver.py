"""A real HTTP server of a test that takes alerts, or does not."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Listens from ``start`` on; keeps what it was told.

    Args:
        port: Where; 0: any.
        answers: The status codes of the first answers; 200 after them.
    """

    def __init__(self, port: int = 0, answers: tuple[int, ...] = ()) -> None:
        self.port = port
        self.answers = list(answers)
        self.told: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/s3cret-path"

    def start(self) -> Receiver:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.headers.append(dict(self.headers))
                receiver.paths.append(self.path)
                code = receiver.answers.pop(0) if receiver.answers else 200
                (receiver.told if code < 300 else receiver.refused).append(body)
                words = b"" if code < 300 else b"no thanks"
                self.send_response(code)
                if 300 <= code < 400:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", str(len(words)))
                self.end_headers()
                self.wfile.write(words)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        serve = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        serve.start()
        return self

    def changes(self) -> list[tuple[str, str]]:
        """What it was told, in order."""
        return [(each["type"], each["state"]) for each in self.told]

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
