"""Who may import whom (README, chapter Architecture), read from the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
SWARMD = CHECKOUT / "swarmd"
TUI = CHECKOUT / "tui"

WORDS = {"errors", "messages"}
BORDERS = WORDS | {"ports"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "messages": {"errors"},
    "ports": WORDS,
    "chance": set(),
    "logs": {"messages"},
    "memory": set(),
    "core": WORDS,
    "configuration": BORDERS | {"core"},
    "setup": WORDS,
    "providers": BORDERS | {"core", "setup"},
    "probing": BORDERS,
    "exposition": BORDERS | {"core"},
    "sinks": BORDERS | {"core"},
    "store": BORDERS | {"core"},
    "actors": BORDERS | {"core"},
    "api": BORDERS | {"core"},
    "client": BORDERS,
    "cli": BORDERS | {"client", "configuration", "core", "setup"},
}
"""Room → rooms it may import, itself and the version (``swarmd``) always among them."""

JOINS_ALL = {"daemon", "settings", "wiring", "__main__"}

THIRD_PARTIES: dict[str, set[str]] = {
    "msgspec": set(MAY_IMPORT) | JOINS_ALL,
    "ulid": {"chance"},
    "pykka": {"actors"} | JOINS_ALL,
    "click": {"cli"},
    "docker": {"providers"},
    "httpx": {"sinks"},
    "requests": {"providers"},
    "urllib3": {"providers"},
    "_typeshed": {"providers"},  # exists for the type checker alone
    "prometheus_client": {"exposition"},
    "tomli_w": {"cli", "configuration"},
}
"""Library → rooms that may import it. What is not here is not a dependency."""

IMPURE = {
    "asyncio", "concurrent", "logging", "multiprocessing", "os", "pathlib", "queue", "random",
    "secrets", "select", "shutil", "socket", "subprocess", "tempfile", "threading", "time",
    "urllib.request", "uuid",
}  # fmt: skip
"""What ``core`` does without: IO, clock, chance, threads and loggers arrive as arguments."""


def rooms() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in sorted(SWARMD.rglob("*.py")):
        room = file.relative_to(SWARMD).parts[0].removesuffix(".py")
        found.setdefault(room, []).append(file)
    found.pop("__init__")
    return found


def imported(text: str, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that a source imports, anywhere in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            yield from ((node.lineno, f"{base}.{name.name}") for name in node.names)


def offences(text: str, package: tuple[str, ...]) -> Iterator[str]:
    """What a source of this package (``("swarmd", "core")``) imports and may not."""
    room = package[1]
    allowed = MAY_IMPORT.get(room, set()) | {room}
    for line, name in imported(text, package):
        top, *rest = name.split(".")
        if top in {"tui", "textual"}:
            yield f"{line}: {name} is a face"
        elif top == "swarmd":
            target = rest[0] if rest else ""
            if is_room(target) and room not in JOINS_ALL and target not in allowed:
                yield f"{line}: {room} does not import {name}"
        elif top not in sys.stdlib_module_names:
            if room not in THIRD_PARTIES.get(top, set()):
                yield f"{line}: {room} does not use the library {top}"
        elif room == "core" and IMPURE & {top, name, name.rpartition(".")[0]}:
            yield f"{line}: core is pure and does without {name}"


def is_room(name: str) -> bool:
    return bool(name) and ((SWARMD / name).is_dir() or (SWARMD / f"{name}.py").exists())


def test_every_room_has_a_rule() -> None:
    assert set(rooms()) <= set(MAY_IMPORT) | JOINS_ALL


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    found = [
        f"{file.relative_to(CHECKOUT)}:{offence}"
        for file in rooms()[room]
        for offence in offences(
            file.read_text(), ("swarmd", room, *file.relative_to(SWARMD).parts[1:-1])
        )
    ]
    assert found == []


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("core", "import time"),
        ("core", "def later():\n    from swarmd.ports import Call"),
        ("messages", "from swarmd.core import backoff"),
        ("messages", "from ..core.backoff import delay"),
        ("api", "import pykka"),
        ("cli", "import swarmd.actors.bridge"),
        ("store", "import redis"),
        ("daemon", "from tui import app"),
    ],
)
def test_a_breach_of_the_rules_is_seen(room: str, text: str) -> None:
    assert list(offences(text, ("swarmd", room)))


FACE_ROOMS = {"errors", "messages", "ports", "client", "configuration", "core"}
PURE_FACE_LIBRARIES = {"msgspec", "rich", "tomli_w"}  # how wide a text is; how a table is spelt
FACE_LIBRARIES = {"aiohttp", "textual", "textual_plotext", "textual_serve"} | PURE_FACE_LIBRARIES


@pytest.mark.parametrize("file", sorted(TUI.rglob("*.py")), ids=lambda f: str(f.relative_to(TUI)))
def test_the_terminal_app_is_a_face_of_the_client(file: Path) -> None:
    package = file.relative_to(CHECKOUT).parts[:-1]
    pure = "model" in package or file.name == "navigation.py"
    libraries = PURE_FACE_LIBRARIES if pure else FACE_LIBRARIES
    for line, name in imported(file.read_text(), package):
        top, *rest = name.split(".")
        if top == "swarmd":
            assert not rest or not is_room(rest[0]) or rest[0] in FACE_ROOMS, f"{line}: {name}"
        elif top not in sys.stdlib_module_names and top != "tui":
            assert top in libraries, f"{line}: {name}"


def test_core_reads_no_clock() -> None:
    calls = [
        f"{file.relative_to(CHECKOUT)}:{node.lineno}"
        for file in rooms().get("core", [])
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
        if isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}
    ]
    assert calls == []


def test_files_stay_readable() -> None:
    long = {
        str(file.relative_to(CHECKOUT)): lines
        for files in rooms().values()
        for file in files
        if (lines := file.read_text().count("\n")) > 420
    }
    assert long == {}


def loaded_after(statement: str) -> set[str]:
    """The modules of a fresh interpreter after one statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=CHECKOUT
    )
    return set(done.stdout.split())


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.split(".")[0] in ("swarmd", "tui")}


def third_parties(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules} & {*THIRD_PARTIES, "textual", "redis", "docker"}


def test_import_swarmd_loads_only_its_version() -> None:
    loaded = loaded_after("import swarmd; assert swarmd.__version__")
    assert ours(loaded) == {"swarmd"}
    assert third_parties(loaded) == set()


def test_the_client_loads_no_asyncio() -> None:
    loaded = loaded_after("import swarmd.client")
    assert "asyncio" not in loaded
    assert third_parties(loaded) <= {"msgspec"}


def test_the_command_line_loads_neither_actors_nor_asyncio() -> None:
    loaded = loaded_after("import swarmd.cli.main, swarmd.cli.root")
    rooms_loaded = {name.split(".")[1] for name in ours(loaded) if "." in name}
    assert rooms_loaded <= {"cli", "client", "messages", "errors", "ports", "configuration"}
    assert third_parties(loaded) <= {"click", "msgspec"}
    assert "asyncio" not in loaded
