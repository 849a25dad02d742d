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
from swarmd.client.protocol import OperationStarted
from swarmd.errors import ProviderError
from tests.daemon_tests.crashing import EXIT, CrashingProvider, CrashingStore, Fuse, FusedFiles
from tests.daemon_tests.harness import STANDIN, Running, Settings, account, daemon_in
from tests.support import wait_until

MARK = b"someone's work"
_FAR = 100_000


class Failing:
    """A provider called local that makes all of an instance, and then fails."""

    fails = True

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in ("create", "import_data") or self._inner.name != "local":
            return found

        def call(*arguments: Any) -> Any:
            made = found(*arguments)
            if Failing.fails:
                raise ProviderError("the first provider fails")
            return made

        return call


class Life:
    """What one operation is, and what must be true of it afterwards.

    With ``box`` there is a second provider, and the first one cannot make anything.
    """

    box = False

    def __init__(self, daemon: Running, told: Callable[[bytes], object] = len) -> None:
        self.daemon = daemon
        self.told = told

    def prepare(self) -> None:
        """Before the fuse is armed."""

    def act(self) -> None:
        """The operation."""
        raise NotImplementedError

    def check(self, *, accepted: bool) -> None:
        """In the next life, when everything has settled."""
        raise NotImplementedError

    def do(self, method: str, **params: Any) -> Any:
        """Ask; tell when it was accepted, and when it was answered."""
        with self.daemon.client(30) as client:
            done = client.call(method, params, on_started=self.accepted)
        self.told(b"d")
        return done

    def accepted(self, _started: OperationStarted) -> None:
        """The daemon has said that it will do it."""
        self.told(b"a")

    def make(self, *, start: bool) -> None:
        """An instance with a file of someone's in it."""
        made = self.daemon.create("web", start=start, labels={"v": "1"})
        (self.workspace(made["id"]) / "work.txt").write_bytes(MARK)

    def workspace(self, instance_id: str) -> Path:
        """Where its files are."""
        return next(self.daemon.settings.data.glob(f"**/{instance_id}/**/workspace"))

    def named(self, name: str, *, trash: bool = False) -> Any:
        """The instance of this name, or None."""
        items = self.daemon.call("instance.list", name=name, trash=trash)["items"]
        assert len(items) < 2, items
        return items[0] if items else None

    def intact(self, instance: Any) -> None:
        """Its file is as it was."""
        assert (self.workspace(instance["id"]) / "work.txt").read_bytes() == MARK


class Create(Life):
    def act(self) -> None:
        self.do("instance.create", config={"name": "web"})

    def check(self, *, accepted: bool) -> None:
        web = self.named("web")
        assert web or not accepted
        assert web is None or web["status"] == "running", web


class Start(Life):
    def prepare(self) -> None:
        self.make(start=False)

    def act(self) -> None:
        self.do("instance.start", id="web")

    def check(self, *, accepted: bool) -> None:
        web = self.named("web")
        assert web["status"] == "running" or not accepted, web
        assert web["status"] in ("running", "stopped", "created"), web
        self.intact(web)


class Stop(Life):
    def prepare(self) -> None:
        self.make(start=True)

    def act(self) -> None:
        self.do("instance.stop", id="web")

    def check(self, *, accepted: bool) -> None:
        web = self.named("web")
        assert web["status"] == "stopped" or not accepted, web
        assert web["status"] in ("running", "stopped"), web
        self.intact(web)


class Restart(Stop):
    def act(self) -> None:
        self.do("instance.restart", id="web")

    def check(self, *, accepted: bool) -> None:
        web = self.named("web")
        assert web["status"] == "running", web
        self.intact(web)


class Update(Stop):
    def act(self) -> None:
        changes = {"labels": {"v": "2"}, "env": {"NEW": "1"}}
        self.do("instance.update", id="web", changes=changes, restart=True)

    def check(self, *, accepted: bool) -> None:
        web = self.named("web")
        assert web["status"] == "running", web
        new = web["config"]["labels"] == {"v": "2"}
        assert new == (web["config"]["env"] == {"NEW": "1"}), web
        assert new or not accepted, web
        ended = self.daemon.call("operation.list", target="web", kind=["update"])["items"]
        assert new == any(each["state"] == "succeeded" for each in ended), ended
        self.intact(web)


class Delete(Stop):
    def act(self) -> None:
        self.do("instance.delete", id="web")

    def check(self, *, accepted: bool) -> None:
        web = self.named("web")
        assert web is None or not accepted, web
        if web is None:
            assert self.named("web", trash=True)["status"] == "deleted"
            self.daemon.call("instance.undelete", id="web")
        self.intact(self.named("web"))


class DeleteForced(Stop):
    def act(self) -> None:
        self.do("instance.delete", id="web", force=True)

    def check(self, *, accepted: bool) -> None:
        web = self.named("web")
        assert web is None or not accepted, web
        if web is None:
            assert self.named("web", trash=True) is None
            self.daemon.create("web", start=False)


class Undelete(Life):
    def prepare(self) -> None:
        self.make(start=True)
        self.daemon.call("instance.delete", id="web")

    def act(self) -> None:
        self.do("instance.undelete", id="web", name="again")

    def check(self, *, accepted: bool) -> None:
        again, trashed = self.named("again"), self.named("web", trash=True)
        assert again or not accepted, (trashed, self.named("web"))
        assert bool(again) != bool(trashed), (again, trashed)
        if again:
            assert again["config"]["name"] == "again"
            self.intact(again)


class Import(Life):
    upload = ""

    def prepare(self) -> None:
        self.make(start=False)
        with self.daemon.client() as client:
            stream = client.stream("instance.export", {"id": "web"})
            archive = b"".join(chunk.bytes for chunk in stream)
            upload = client.stream("upload.open", {})
            self.upload = upload.write(archive, end=True)["upload"]
        self.daemon.call("instance.delete", id="web", force=True)

    def act(self) -> None:
        self.do("instance.import", upload=self.upload, config={"name": "web"})

    def check(self, *, accepted: bool) -> None:
        web = self.named("web")
        assert web or not accepted
        if web:
            assert web["status"] == "running", web
            self.intact(web)


class Fallback(Create):
    """The first provider makes half of it and fails; the second one makes it."""

    box = True

    def check(self, *, accepted: bool) -> None:
        super().check(accepted=accepted)
        if web := self.named("web"):
            assert (web["provider"], web["epoch"]) == ("box", 2), web
            (made,) = self.daemon.call("operation.list", target="web", kind=["create"])["items"]
            assert made["state"] == "succeeded", made


class FallbackImport(Import):
    """The archive is read again for the second provider."""

    box = True

    def prepare(self) -> None:
        Failing.fails = False
        super().prepare()
        Failing.fails = True

    def check(self, *, accepted: bool) -> None:
        super().check(accepted=accepted)
        web = self.named("web")
        assert web is None or web["provider"] == "box", web


class DeleteDuringCreate(Life):
    def act(self) -> None:
        self.daemon.begin("instance.create", config={"name": "web"})
        self.do("instance.delete", id="web", force=True)

    def check(self, *, accepted: bool) -> None:
        web = self.named("web")
        assert web is None or not accepted, web
        assert web is None or web["status"] == "running", web


LIVES: dict[str, type[Life]] = {
    "create": Create,
    "start": Start,
    "stop": Stop,
    "restart": Restart,
    "update": Update,
    "delete": Delete,
    "delete-forced": DeleteForced,
    "undelete": Undelete,
    "import": Import,
    "fallback": Fallback,
    "fallback-import": FallbackImport,
    "delete-during-create": DeleteDuringCreate,
}


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
    wait_until(lambda: not settings.processes(), timeout=2, describe=settings.processes)


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
