"""Certificates for an engine at tcp://, made with the openssl command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import require


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """An authority of the test's own that signs what it is asked for.

    Args:
        folder: Where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._own = self._make_key("ca")
        self._openssl(
            *("req", "-x509", "-key", str(self._own.key), "-subj", "/CN=swarmd test authority"),
            *("-days", "2", "-out", str(self._own.cert)),
        )

    @property
    def ca(self) -> Path:
        """The certificate that tells who it is."""
        return self._own.cert

    def server(self, *addresses: str) -> Pair:
        """For a server at these IP addresses and at ``localhost``."""
        names = ",".join(["DNS:localhost", *(f"IP:{address}" for address in addresses)])
        return self._sign("server", f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")

    def client(self, name: str = "client") -> Pair:
        """For a client."""
        return self._sign(name, "extendedKeyUsage=clientAuth\n")

    def _sign(self, name: str, extensions: str) -> Pair:
        pair = self._make_key(name)
        request, rules = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        rules.write_text(extensions)
        self._openssl(
            *("req", "-new", "-key", str(pair.key), "-subj", f"/CN=swarmd test {name}"),
            *("-out", str(request)),
        )
        self._openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self._own.cert)),
            *("-CAkey", str(self._own.key), "-CAcreateserial", "-days", "2"),
            *("-extfile", str(rules), "-out", str(pair.cert)),
        )
        return pair

    def _make_key(self, name: str) -> Pair:
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        self._openssl(
            *("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-out", str(pair.key)),
        )
        pair.key.chmod(0o600)
        return pair

    @staticmethod
    def _openssl(*arguments: str) -> None:
        try:
            told = subprocess.run(
                ["openssl", *arguments], capture_output=True, text=True, check=False, timeout=30
            )
        except FileNotFoundError:
            require("docker", found=False, reason="there is no openssl to make certificates")
            raise
        assert told.returncode == 0, told.stderr
