"""One life per point: ``python -m tests.daemon_tests.crash_child FOLDER OPERATION WHERE [POINTS]``.

Each life is a forked process: it prepares an instance, begins the operation, and dies at its
point. A second life on the same folders then checks what it finds and removes it all. What went
wrong is printed, a line a point; the last line tells how many points there were. ``WHERE`` is
``ports`` (calls of the provider and the store) or ``disk`` (each change of the disk); without
POINTS every point has its turn.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import swarmd.store.store
from tests.daemon_tests.crash_lives import LIVES, Failing, Life
from tests.daemon_tests.crashing import EXIT, CrashingProvider, CrashingStore, Fuse, FusedFiles
from tests.daemon_tests.harness import STANDIN, Running, Settings, account, daemon_in
from tests.support import wait_until

_FAR = 100_000


def first_life(settings: Settings, kind: type[Life], fuse: Fuse, where: str) -> None:
    """Prepare, arm the fuse, act."""
    answers = os.open(settings.folder / "answers", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    wraps: dict[str, Any] = failing(kind)
    make = wraps.get("wrap_provider", lambda inner: inner)
    if where == "ports":
        wraps["wrap_provider"] = lambda inner: CrashingProvider(make(inner), fuse)
        wraps["wrap_store"] = lambda inner: CrashingStore(inner, fuse)
    else:
        swarmd.store.store.Files = lambda: FusedFiles(fuse)  # type: ignore[assignment,attr-defined]
    with daemon_in(settings, **wraps) as daemon:
        life = kind(daemon, lambda mark: os.write(answers, mark))
        life.prepare()
        daemon.settle()
        fuse.armed = True
        life.act()
        fuse.armed = False
    if fuse.at < _FAR:
        os._exit(0)
    (settings.folder / "points").write_text(str(fuse.count))
    (settings.folder / "modules").write_text("\n".join(sys.modules))


def second_life(settings: Settings, kind: type[Life]) -> None:
    """Check what is there, then remove it all, and see that nothing is left."""
    answers = (settings.folder / "answers").read_bytes()
    with daemon_in(settings, **failing(kind)) as daemon:
        daemon.check_consistent()
        check_accepted(daemon, accepted=b"a" in answers)
        kind(daemon).check(accepted=b"a" in answers)
        daemon.check_consistent()
        for trash in (False, True):
            for item in daemon.call("instance.list", trash=trash)["items"]:
                daemon.call("instance.delete", id=item["id"], force=True)
        daemon.check_consistent()
        assert daemon.tables.instances == {}
        uploads = settings.state / "uploads"
        wait_until(lambda: not list(uploads.iterdir()), describe=lambda: list(uploads.iterdir()))
    folders = [path.name for path in settings.data.iterdir() if not path.name.startswith(".")]
    assert folders == []
    assert [path.name for path in (settings.state / "instances").iterdir()] == []
    wait_until(lambda: not settings.processes(), describe=settings.processes)


def failing(kind: type[Life]) -> dict[str, Any]:
    """How the providers of this life are wrapped."""
    return {"wrap_provider": Failing} if kind.box else {}


def check_accepted(daemon: Running, *, accepted: bool) -> None:
    """What was accepted and cut off has been done; nothing of it was doubled."""
    operations = daemon.call("operation.list", limit=1000)["items"]
    unwell = [each for each in operations if each["state"] != "succeeded"]
    preempted = {"cancelled"}
    if accepted:
        assert all(each["state"] in preempted for each in unwell), unwell
    users = [each for each in operations if each["origin"] == "user"]
    assert len({each["id"] for each in users}) == len(users)


def forked(work: Callable[[], None], errors: int = 2) -> int:
    """Do it in a process of its own, with these errors; its exit code."""
    child = os.fork()
    if child == 0:
        os.dup2(errors, 2)
        code = 1
        try:
            work()
            code = 0
        except Exception as error:
            sys.stdout.write("".join(traceback.format_exception(error)[-12:]))
        except BaseException as error:  # a pytest.fail is no Exception
            sys.stdout.write(f"{error}\n" + "".join(traceback.format_tb(error.__traceback__)[-4:]))
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def play(folder: Path, name: str, where: str, at: int) -> tuple[bool, int]:
    """One point: whether the next life found everything right, and the points there were."""
    kind = LIVES[name]
    settings = Settings(folder / f"{name}-{where}-{at}")
    if kind.box:
        options = {"command": STANDIN, "port_range": settings.ports.range, **account()}
        settings.providers = [{"name": "box", "type": "local", "options": options}]
        settings.write()
    log = os.open(settings.folder / "log", os.O_WRONLY | os.O_CREAT)
    try:
        died = forked(lambda: first_life(settings, kind, Fuse(at), where), log)
        well = died in (0, EXIT) and forked(lambda: second_life(settings, kind)) == 0
        points = settings.folder / "points"
        count = int(points.read_text()) if points.exists() else 0
        load_modules(settings.folder / "modules")
        if well:
            shutil.rmtree(settings.folder)
        else:
            sys.stdout.write(f"^^^ {name} at {where} {at}: first life ended with {died}\n")
        return well, count
    finally:
        os.close(log)
        for pid in settings.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        settings.close()


def load_modules(listed: Path) -> None:
    """Import what a life imported, so that the next ones need not: a fork has it all."""
    names = listed.read_text().split() if listed.exists() else []
    for name in names:
        if name.startswith(("swarmd.", "asyncio", "pykka", "json", "tarfile", "socket", "select")):
            importlib.import_module(name)


def main() -> None:
    """Every point, or a sample of them that is the same each time."""
    folder, name, where = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    well, count = play(folder, name, where, _FAR)
    bad = 0 if well else 1
    points = list(range(1, count + 1))
    if len(sys.argv) > 4 and int(sys.argv[4]) < count:
        points = sorted(random.Random(name).sample(points, int(sys.argv[4])))
    for at in points:
        well, _ = play(folder, name, where, at)
        bad += not well
    sys.stdout.write(f"{len(points)} of {count} points, {bad} bad\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
