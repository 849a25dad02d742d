"""Changing an instance, or what many are to have in common: a merge patch of what is typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from textual import work

from swarmd.core.changes import DAEMON_FIELDS, covered
from swarmd.errors import SwarmError
from swarmd.messages.instance import Instance
from swarmd.messages.provider import Capabilities
from swarmd.messages.requests import RestartInstance, UpdateInstance
from tui.doing import each_of, summary
from tui.model.rows import Row
from tui.model.text import BLANK, Line, line, titled
from tui.model.typed import PATHS, Read, read_update, texts_of, waits_for_restart
from tui.screens.confirm import Confirm
from tui.screens.form import FieldSpec, Form

_FIELDS = (
    ("memory", "the default", "512m, 2g"),
    ("cpu", "the default", "cores: 0.5, 2"),
    ("storage", "the default", "10g"),
    ("pids", "the default", "processes and threads"),
    ("image", "the default", "a container image"),
    ("labels", "none", "team=red course='VS Code'"),
    ("env", "nothing added", "KEY=value OTHER='two words'"),
    ("extensions", "none", "ms-python.python golang.go@0.41.0"),
    ("idle_timeout", "never", "30m, 2h"),
    ("max_age", "never", "12h, 7d"),
)
"""Name, what it is while nothing is said, and what one may say."""
_RESTART = (("", "when it is restarted next"), ("yes", "restart now if it needs that"))
_KEEP = (("", "as it is"), ("yes", "yes"), ("no", "no"))


def fields(
    records: Sequence[Instance], capabilities: Sequence[Capabilities | None]
) -> Iterator[FieldSpec]:
    """What can be changed, with how it is now if it is one instance.

    Args:
        records: Whose.
        capabilities: Of their providers; what has no effect there is left out.
    """
    texts = texts_of(records[0].config) if len(records) == 1 else {}
    for name, default, example in _FIELDS:
        if all(c is None or covered(PATHS[name], {*c.config_fields, *DAEMON_FIELDS})
               for c in capabilities):  # fmt: skip
            bare = default if len(records) == 1 else "as it is; - resets it"
            shown = f"{bare}; {example}"
            yield FieldSpec(name, name.replace("_", " "), shown, value=texts.get(name, ""))
    options = _KEEP if len(records) > 1 else _KEEP[1:]
    yield FieldSpec("protect", "protected", options=options, value=texts.get("protect", ""))
    yield FieldSpec("restart", "takes effect", options=_RESTART)


class UpdateForm(Form):
    """See the module's docstring.

    Args:
        rows: Whom it is about.
        records: The same, whole.
        capabilities: Of their providers, in the same order.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        records: Sequence[Instance],
        capabilities: Sequence[Capabilities | None],
    ) -> None:
        who = rows[0].ref if len(rows) == 1 else f"{len(rows)} instances"
        super().__init__(f"Change {who}", "Change", fields(records, capabilities))
        self._rows = tuple(rows)
        self._records = tuple(records)
        self._capabilities = tuple(capabilities)

    def _read(self) -> Read:
        one = self._records[0].config if len(self._records) == 1 else None
        values = {name: text for name, text in self.values.items() if name != "restart"}
        if one is None and not values["protect"]:
            del values["protect"]
        return read_update(values, one)

    def problems(self) -> Mapping[str, str]:
        """What the daemon's own Structs and rules say."""
        return self._read().problems

    def look(self) -> None:
        """What would change, and what of it waits for a restart."""
        read = self._read()
        self.result.show(lambda _w, _h: self._told(read))

    def _told(self, read: Read) -> Iterator[Line]:
        if read.problems:
            yield line("What is typed is not right yet.", "dim")
        elif not read.wanted:
            yield line("Nothing is different from how it is.", "dim")
        else:
            yield titled("This changes")
            for path, value in _flat(read.wanted):
                shown = "the default again" if value is None else _shown(value)
                yield ((f"{path} ", ""), ("→ ", "dim"), *line(shown, "good"))
            waiting = self._waiting(read)
            if waiting:
                yield BLANK
                now = self.values["restart"] == "yes"
                words = "It is restarted for" if now else "These wait for a restart:"
                yield line(f"{words} {', '.join(waiting)}", "warn")

    def _waiting(self, read: Read) -> list[str]:
        found: set[str] = set()
        for record, caps in zip(self._records, self._capabilities, strict=True):
            try:
                changes = waits_for_restart(
                    record.config, read.wanted, () if caps is None else caps.live_fields
                )
            except SwarmError:
                continue  # this one refuses the change; the daemon will say why
            found |= set(changes) if record.started_at is not None else set()
        return sorted(found)

    # --- sending -----------------------------------------------------------------------------

    def send(self) -> None:
        """Ask for it."""
        read = self._read()
        if read.wanted:
            self._update(read, restart=self.values["restart"] == "yes")
        else:
            self.dismiss(None)

    @work(exclusive=True, group="update", exit_on_error=False)
    async def _update(self, read: Read, *, restart: bool) -> None:
        self.busy = True
        one = len(self._records) == 1
        requests = [
            UpdateInstance(
                id=record.id,
                changes=read.wanted,
                # Nobody else's change is to be written over unseen.
                if_revision=record.revision if one else None,
                restart=restart,
            )
            for record in self._records
        ]
        names = [row.ref for row in self._rows]
        pairs = list(zip(names, requests, strict=True))
        if one and restart:
            # It takes as long as a restart does, and is seen where its progress is.
            self.dismiss(None)
        failed = await each_of(self.swarmd.link, pairs)
        self.busy = False
        if one and failed and self.is_attached and not restart:
            self.refused(failed[names[0]])
            return
        waiting = [] if restart else self._waiting(read)
        self.dismiss(None) if self.is_current else None
        summary(self.swarmd, "changed", names, failed)
        done = [row for row in self._rows if row.ref not in failed]
        if waiting and done:
            self._offer(done, waiting)

    def _offer(self, rows: Sequence[Row], waiting: Sequence[str]) -> None:
        """Restart them now?"""
        app = self.swarmd

        def answered(yes: bool | None) -> None:
            if yes:
                pairs = [(row.ref, RestartInstance(id=row.id)) for row in rows]
                app.do_all("restarted", pairs)

        loses = (
            f"These take effect at the next start: {', '.join(waiting)}. What runs in it ends: "
            "terminals, servers, unsaved editors. Its files stay."
        )
        app.push_screen(Confirm("Restart", [row.ref for row in rows], loses), answered)


def _flat(changes: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in changes.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return str(value) if value != {} else "none"
