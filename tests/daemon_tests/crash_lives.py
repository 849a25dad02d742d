"""The operations that are cut off at every point, and what must be true of each afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarmd.client.protocol import OperationStarted
from swarmd.errors import ProviderError
from tests.daemon_tests.harness import Running

MARK = b"someone's work"


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
