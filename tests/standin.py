"""A stand-in for code-server: the same options, a fraction of the weight.

Run it with ``[sys.executable, "-I", "-S", ".../tests/standin.py"]``. It answers every path like
``/healthz`` on the inherited descriptor (``--socket-fd``), or where ``--bind-addr`` says, as in a
container. ``--install-extension`` makes the folder below ``--extensions-dir`` that the real one
makes. What it does wrong is chosen by words in the variable
``STANDIN`` or at the beginning of ``--app-name`` (``mute-web``), separated by hyphens:

exit        says why and ends at once, with status 3
mute        listens and never answers
ill         answers 503
late        answers 503 three times, then 200
stubborn    ignores SIGTERM
fork        starts children in sessions of their own, one of them a grandchild whose parent ended
orphan      the same, and they ignore SIGTERM
eat         takes memory until something stops it
chatty      writes a line for each request
brief       ends once it has answered, with status 3

The variable ``STANDIN_HEART`` names a file with what it tells of its use: ``alive 5`` or
``expired 5``, the number being the last heartbeat; without the file nobody ever used it.
"""

# ruff: noqa: PTH103, PTH118, PTH119, PTH123 - pathlib would double the time that it takes to start

import os
import signal
import socket
import sys

WORDS = {"exit", "mute", "ill", "late", "stubborn", "fork", "orphan", "eat", "chatty", "brief"}


def option(name: str) -> str:
    """The value of an option, or nothing."""
    arguments = sys.argv[1:]
    return arguments[arguments.index(name) + 1] if name in arguments[:-1] else ""


def switches() -> set[str]:
    """The words that were chosen."""
    named = option("--app-name").split("-")[:-1] or []
    return (set(os.environ.get("STANDIN", "").split("-")) | set(named)) & WORDS


def detach(twice: bool, deaf: bool) -> None:
    """A child in a session of its own, as a terminal's shell is, or what it leaves behind."""
    if os.fork():
        return
    os.setsid()
    if twice and os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf else signal.SIG_DFL)
    while True:
        signal.pause()


def heart() -> tuple[bytes, bytes]:
    """Whether somebody uses it, and the last heartbeat."""
    file = os.environ.get("STANDIN_HEART")
    if file is None:
        return b"alive", b"0"
    try:
        with open(file, "rb") as told:
            status, _, last = told.read().partition(b" ")
    except FileNotFoundError:
        return b"expired", b"0"
    return status, last.strip() or b"0"


def serve(listener: socket.socket, chosen: set[str]) -> None:
    """Answer until someone ends us."""
    count = 0
    while True:
        connection, _ = listener.accept()
        with connection:
            if not connection.recv(4096):
                continue
            count += 1
            ill = "ill" in chosen or ("late" in chosen and count <= 3)
            status = b"503 Service Unavailable" if ill else b"200 OK"
            body = b'{"status":"%s","lastHeartbeat":%s}' % heart()
            head = b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + body)
            if "chatty" in chosen:
                print("request", count, flush=True)
        if "brief" in chosen:
            sys.exit(3)


def listen() -> socket.socket:
    """The listener that we inherited, or one of our own."""
    if inherited := option("--socket-fd"):
        return socket.socket(fileno=int(inherited))
    host, _, port = option("--bind-addr").rpartition(":")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, int(port)))
    return listener


def install(wanted: str) -> None:
    """Make an extension's folder, ``publisher.name-version``, and say so."""
    folder = option("--extensions-dir")
    name, _, version = os.path.basename(wanted).removesuffix(".vsix").partition("@")
    if folder:
        os.makedirs(os.path.join(folder, f"{name}-{version or '1.0.0'}"), exist_ok=True)
    print("Extension", wanted, "was successfully installed.")


def main() -> None:
    """Do what was chosen."""
    chosen = switches()
    if "--install-extension" in sys.argv:
        for number, argument in enumerate(sys.argv[:-1]):
            if argument == "--install-extension":
                install(sys.argv[number + 1])
        return
    print("stand-in", " ".join(sorted(chosen)) or "plain", flush=True)
    if "exit" in chosen:
        print("I was told to end", file=sys.stderr, flush=True)
        sys.exit(3)
    if "stubborn" in chosen:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if chosen & {"fork", "orphan"}:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        detach(twice=False, deaf="orphan" in chosen)
        detach(twice=True, deaf="orphan" in chosen)
    if "eat" in chosen:
        hoard = []
        while True:
            hoard.append(bytearray(b"x" * (4 << 20)))
    if "mute" in chosen:
        signal.pause()
    with listen() as listener:
        listener.listen(64)
        serve(listener, chosen)


if __name__ == "__main__":
    main()
