"""A root file system in a tar, made of this host's programs with their libraries."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_MERGED = re.compile(r"/(bin|sbin|lib|lib32|lib64|libx32)/")
_TIME = 1_700_000_000
"""The same inputs make the same tar, whenever."""


def place(path: Path | str) -> str:
    """Where a file of this host lies in the image, whose /bin and /lib are links into /usr."""
    return _MERGED.sub(r"/usr/\1/", str(path), count=1) if _MERGED.match(str(path)) else str(path)


def libraries(program: Path) -> list[Path]:
    """The shared libraries of a program, its loader among them; none if it is static."""
    told = subprocess.run(
        ["ldd", str(program)], capture_output=True, text=True, check=False, timeout=30
    )
    return [Path(found) for found in _LIBRARY.findall(told.stdout)]


def find_program(name: str) -> Path | None:
    """A program of this host, not one of a virtual environment."""
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin")
    return Path(found) if found else None


@dataclass
class RootFiles:
    """What goes into the image; writing it twice gives the same bytes."""

    _entries: dict[str, tuple[tarfile.TarInfo, Path | bytes]] = field(default_factory=dict)

    def folder(self, path: str, *, mode: int = 0o755, owner: int = 0) -> None:
        """A folder, in the place of an implied one."""
        entry = self._entry(path, tarfile.DIRTYPE, mode, owner)
        self._entries[path] = (entry, b"")

    def text(self, path: str, content: str, *, mode: int = 0o644) -> None:
        """A file with this text."""
        self._add(path, content.encode(), mode)

    def data(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """A file with these bytes."""
        self._add(path, content, mode)

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        self._parents(path)
        entry = self._entry(path, tarfile.SYMTYPE, 0o777, 0)
        entry.linkname = target
        self._entries[path] = (entry, b"")

    def copy(self, source: Path, path: str | None = None) -> None:
        """A file of this host; links are followed."""
        mode = 0o755 if os.access(source, os.X_OK) else 0o644
        self._add(path or place(source), source, mode)

    def program(self, source: Path, path: str | None = None) -> None:
        """A program with the libraries that it loads."""
        self.copy(source, path)
        for library in libraries(source):
            if place(library) not in self._entries:
                self.copy(library)

    def tar(self) -> bytes:
        """All of it."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as writer:
            for path in sorted(self._entries):
                entry, content = self._entries[path]
                data = content.read_bytes() if isinstance(content, Path) else content
                entry.size = len(data)
                writer.addfile(entry, io.BytesIO(data))
        return buffer.getvalue()

    def _add(self, path: str, content: Path | bytes, mode: int) -> None:
        self._parents(path)
        self._entries[path] = (self._entry(path, tarfile.REGTYPE, mode, 0), content)

    def _parents(self, path: str) -> None:
        for parent in PurePosixPath(path).parents:
            if str(parent) != "/" and str(parent) not in self._entries:
                self.folder(str(parent))

    @staticmethod
    def _entry(path: str, kind: bytes, mode: int, owner: int) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type, entry.mode, entry.mtime = kind, mode, _TIME
        entry.uid = entry.gid = owner
        return entry


# --- Python -------------------------------------------------------------------------------------

_MODULES = """
import sys
program, folder = sys.argv[1:]
exec(compile(open(program).read(), program, "exec"), {"__name__": "looked_at"})
import encodings.ascii, encodings.latin_1, encodings.utf_8
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
import json, py_compile
found = {}
for name, file in files.items():
    if file and file.endswith(".py"):
        found[file] = f"{folder}/{name}.pyc"
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(file, cfile=found[file], doraise=True, invalidation_mode=mode)
    elif file:
        found[file] = None
version = "python%d.%d" % sys.version_info[:2]
print(json.dumps([f"{sys.base_prefix}/{sys.platlibdir}/{version}", found]))
"""


def system_python() -> Path:
    """The system's Python, or else the one that runs this."""
    system = Path("/usr/bin/python3")
    return system if system.exists() else Path(sys.base_exec_prefix) / "bin" / "python3"


def add_python(files: RootFiles, program: Path) -> None:
    """Python as /usr/bin/python3, and as much of its library as a program imports.

    The modules go in compiled and without their source: less to read at each start.

    Args:
        files: Where to.
        program: Executed under a name that is not ``__main__``, to see what it imports.
    """
    python = system_python()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python), "-I", "-S", "-X", "frozen_modules=off", "-c", _MODULES]
        told = subprocess.run(
            [*command, str(program), folder], capture_output=True, check=True, timeout=30
        )
        library, modules = json.loads(told.stdout)
        for file, compiled in modules.items():
            if compiled is None:
                files.program(Path(file))
            else:
                files.data(file.removesuffix("py") + "pyc", Path(compiled).read_bytes())
    files.folder(f"{library}/lib-dynload")  # without it Python warns that it is incomplete
    real = python.resolve()
    files.program(real)
    if place(real) != "/usr/bin/python3":
        files.link("/usr/bin/python3", place(real))
