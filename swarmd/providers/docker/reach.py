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
from swarmd.providers.docker.engine import NotRunning, NotThere
from swarmd.providers.docker.looking import Seen
from swarmd.providers.shared import answer
from swarmd.providers.shared.answer import Asker, Ended, Endpoint
from swarmd.providers.shared.codeserver import CONTAINER_PORT

_CHECK_SECONDS = 5.0
_PATIENCE = 2
"""Seconds that one command inside goes on asking: a command costs more than a question."""

ASK_INSIDE = r"""
scheme=$1 port=$2 path=$3 seconds=$4
url="$scheme://127.0.0.1:$port$path"
server=$(command -v code-server) && server=$(readlink -f "$server")
if command -v curl >/dev/null 2>&1; then
    ask() { curl -fsSk -m 4 "$url"; }
elif command -v wget >/dev/null 2>&1; then
    lax=
    [ "$scheme" = http ] || lax=--no-check-certificate
    ask() { wget -q -T 4 -O - $lax "$url"; }
elif command -v python3 >/dev/null 2>&1; then
    ask() { python3 -I -S -c '
import socket, sys
scheme, port, path = sys.argv[1:]
link = socket.socket()
link.settimeout(4)
link.connect(("127.0.0.1", int(port)))
if scheme == "https":
    import ssl
    link = ssl._create_unverified_context().wrap_socket(link)
link.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
told = b""
while piece := link.recv(4096):
    told += piece
head, _, body = told.partition(b"\r\n\r\n")
print(body.decode())
sys.exit(head.split()[1:2] != [b"200"])' "$scheme" "$port" "$path"; }
else
    node=$(command -v node) || node=${server%/*/*}/lib/node
    ask() { NODE_TLS_REJECT_UNAUTHORIZED=0 NODE_NO_WARNINGS=1 "$node" -e '
fetch(process.argv[1], {signal: AbortSignal.timeout(4000)}).then(async (got) => {
    console.log(await got.text())
    process.exit(got.ok ? 0 : 1)
}, (error) => { console.error(String(error.cause || error)); process.exit(1) })' "$url"; }
fi
[ "$seconds" = 0 ] && { ask; exit; }
end=$(($(date +%s) + seconds))
until told=$(ask 2>&1); do
    [ "$(date +%s)" -lt "$end" ] || { printf '%s' "$told"; exit 1; }
    sleep 0.1 2>/dev/null || sleep 1
done
printf '%s' "$told"
"""
"""Asks at a port of this host until it is answered, or for so many seconds; 0: once."""


class Reach:
    """Asks servers of one provider."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def until_ok(self, seen: Seen, check: Callable[[], None]) -> None:
        """Ask until it answers. Raises what ``check`` raises, ``Ended`` among it."""
        endpoint = self.endpoint(seen)
        if endpoint is not None:
            Asker(endpoint, check).until_ok()
            return
        try:
            while self._inside(seen, _PATIENCE)[0] != 0:
                check()
        except (NotRunning, NotThere):
            raise Ended from None

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

            try:
                host = socket.gethostbyname(host)
            except OSError:  # a name that only ssh knows
                return None
        return Endpoint(host, port, options.tls)

    def _inside(self, seen: Seen, seconds: int) -> tuple[int, bytes]:
        scheme = "https" if self._context.options.tls else "http"
        words = [scheme, str(CONTAINER_PORT), answer.PATH, str(seconds)]
        return self._context.engine.run(
            seen.ref, ["sh", "-c", ASK_INSIDE, "ask", *words], within=SHORT
        )

    def _once_inside(self, instance: Instance, seen: Seen) -> str:
        code, output = self._inside(seen, 0)
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
