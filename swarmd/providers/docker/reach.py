"""Asking an instance's server whether it answers: at its published port, or from inside.

The port of a remote engine that is published on that host's loopback cannot be reached from
here; then the question is asked in the container, by whatever there can ask it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from swarmd.errors import ProviderError, ProviderUnreachable
from swarmd.messages.enums import Transport
from swarmd.messages.instance import Instance
from swarmd.ports import Call
from swarmd.providers.docker.context import SHORT, Context
from swarmd.providers.docker.looking import Seen
from swarmd.providers.shared import answer
from swarmd.providers.shared.answer import Asker, Ended, Endpoint
from swarmd.providers.shared.codeserver import CONTAINER_PORT

_PAUSE = 0.2
_CHECK_SECONDS = 5.0

_ASK_INSIDE = f"""
url="$1://127.0.0.1:{CONTAINER_PORT}{answer.PATH}"
if command -v curl >/dev/null 2>&1; then exec curl -fsSk -m 4 "$url"; fi
if command -v wget >/dev/null 2>&1; then exec wget -q -T 4 -O - --no-check-certificate "$url"; fi
if command -v python3 >/dev/null 2>&1; then exec python3 -c '
import ssl, sys, urllib.request
context = ssl._create_unverified_context()
print(urllib.request.urlopen(sys.argv[1], timeout=4, context=context).read().decode())' "$url"; fi
exec node -e '
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"
fetch(process.argv[1]).then(async (got) => {{
  console.log(await got.text()); process.exit(got.ok ? 0 : 1)
}}, (error) => {{ console.error(String(error)); process.exit(1) }})' "$url"
"""


class Reach:
    """Asks servers of one provider."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def until_ok(self, seen: Seen, call: Call, check: Callable[[], None]) -> None:
        """Ask until it answers. Raises what ``check`` raises, ``Ended`` among it."""
        endpoint = self.endpoint(seen)
        if endpoint is not None:
            Asker(endpoint, check).until_ok()
            return
        while self._inside(seen)[0] != 0:
            check()
            call.wait(_PAUSE)

    def once(self, instance: Instance, seen: Seen, call: Call) -> str:
        """Ask once; the server's own words.

        Raises:
            ProviderUnreachable: Nobody answers.
            ProviderError: It answers that it is ill.
        """
        endpoint = self.endpoint(seen)
        if endpoint is None:
            return self._once_inside(instance, seen)
        until = call.clock() + _CHECK_SECONDS

        def still() -> None:
            call.check()
            if call.clock() >= until:
                raise TimeoutError(f"no answer within {_CHECK_SECONDS:g} s")

        try:
            told = Asker(endpoint, still).once()
        except (OSError, Ended) as error:
            raise _silent(instance, str(error)) from error
        if not told.ok:
            raise ProviderError(
                f"the server of {instance.ref} answers {told.status}",
                next_step="Look at its log (swarmctl logs), or restart it.",
                details={"cause": told.body},
            )
        return told.body

    def endpoint(self, seen: Seen) -> Endpoint | None:
        """Where it can be asked from here; None if only from inside."""
        options = self._context.options
        port = seen.marks.ports.get((CONTAINER_PORT, Transport.TCP))
        address = seen.published or options.publish_address
        if port is None:
            return None
        if options.engine_host is None:
            return Endpoint(address, port, options.tls)
        if ipaddress.ip_address(address).is_loopback:
            return None
        # What is published at one address of that host is reached by the host's name too.
        found = ipaddress.ip_address(address)
        host = options.engine_host if found.is_unspecified else address
        try:
            ipaddress.ip_address(host)
        except ValueError:
            import socket

            host = socket.gethostbyname(host)
        return Endpoint(host, port, options.tls)

    def _inside(self, seen: Seen) -> tuple[int, bytes]:
        scheme = "https" if self._context.options.tls else "http"
        return self._context.engine.run(
            seen.ref, ["sh", "-c", _ASK_INSIDE, "ask", scheme], within=SHORT
        )

    def _once_inside(self, instance: Instance, seen: Seen) -> str:
        code, output = self._inside(seen)
        words = output.decode(errors="replace").strip()[:500]
        if code:
            raise _silent(instance, words)
        return words


def _silent(instance: Instance, cause: str) -> ProviderUnreachable:
    return ProviderUnreachable(
        f"the server of {instance.ref} does not answer",
        next_step="Look at its log (swarmctl logs), or restart it.",
        details={"cause": cause},
    )
