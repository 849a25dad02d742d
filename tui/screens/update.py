"""Changing an instance, or what many are to have in common: a merge patch of what is typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from swarmd.core.changes import DAEMON_FIELDS, covered
from swarmd.errors import SwarmError
from swarmd.messages.instance import Instance
from swarmd.messages.provider import Capabilities
from swarmd.messages.requests import RestartInstance, UpdateInstance
from tui.actions import ENDS
from tui.doing import each_of, summary
from tui.model.rows import Row
from tui.model.text import BLANK, Line, line, titled
from tui.model.typed import PATHS, Read, read_update, texts_of, waits_for_restart
from tui.screens.confirm import Confirm
from tui.screens.form import FieldSpec, Form

if TYPE_CHECKING:
    from tui.app import SwarmdApp

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
_RESTART = (("", "now or at its next restart"), ("yes", "now, restarting if need be"))
"""What a provider applies to one that runs is never waited for."""
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
            now = self.values["restart"] == "yes"
            waiting = self._waiting(read, pending=now)
            if waiting:
                yield BLANK
                words = "It is restarted for" if now else "These wait for a restart:"
                yield line(f"{words} {_fields_of(waiting)}", "warn")

    def _waiting(self, read: Read, *, pending: bool) -> dict[str, set[str]]:
        """What waits for a restart, by the name of the instance; those that have nothing left out.

        Args:
            read: What was typed.
            pending: What waits since an earlier change as well.
        """
        found: dict[str, set[str]] = {}
        known = zip(self._rows, self._records, self._capabilities, strict=True)
        for row, record, caps in known:
            try:
                changes = waits_for_restart(
                    record.config, read.wanted, () if caps is None else caps.live_fields
                )
            except SwarmError:
                continue  # this one refuses the change; the daemon will say why
            fields = {*changes, *(record.restart_required if pending else ())}
            if fields and record.started_at is not None:
                found[row.ref] = fields
        return found

    # --- sending -----------------------------------------------------------------------------

    def send(self) -> None:
        """Ask for it; if something that runs would end by it, after one question."""
        read = self._read()
        if not read.wanted:
            self.dismiss(None)
            return
        restarts = self._waiting(read, pending=True) if self.values["restart"] == "yes" else {}
        if not restarts:
            self._send(read, restart=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._send(read, restart=True)

        loses = f"It is restarted for {_fields_of(restarts)}. {ENDS}"
        if len(restarts) < len(self._rows):
            loses += " The others are changed without a restart."
        self.app.push_screen(Confirm("Change and restart", list(restarts), loses), answered)

    def _send(self, read: Read, *, restart: bool) -> None:
        one = len(self._records) == 1
        pairs = [
            (
                row.ref,
                UpdateInstance(
                    id=record.id,
                    changes=read.wanted,
                    # Nobody else's change is to be written over unseen.
                    if_revision=record.revision if one else None,
                    restart=restart,
                ),
            )
            for row, record in zip(self._rows, self._records, strict=True)
        ]
        if restart:
            # It takes as long as a restart does, and is seen where its progress is.
            self.dismiss(None)
            self.swarmd.do_all("changed", pairs)
        else:
            self.carry_out(self._update(self.swarmd, pairs, self._waiting(read, pending=False)))

    async def _update(
        self,
        app: SwarmdApp,
        pairs: Sequence[tuple[str, UpdateInstance]],
        waiting: Mapping[str, set[str]],
    ) -> None:
        names = [name for name, _ in pairs]
        failed = await each_of(app.link, pairs)
        here = self.answered(failed.get(names[0]) if len(names) == 1 else None)
        if not (here and failed and len(names) == 1):
            summary(app, "changed", names, failed)
        done = {name: fields for name, fields in waiting.items() if name not in failed}
        if done:
            self._offer(app, done, here=here)

    def _offer(self, app: SwarmdApp, waiting: Mapping[str, set[str]], *, here: bool) -> None:
        """Restart them now? Who has gone on to something else is told, and not asked."""
        ids = {row.ref: row.id for row in self._rows}
        told = f"These take effect at the next start: {_fields_of(waiting)}."
        if not here:
            app.warn(told)
            return
        app.change(
            [(RestartInstance(id=ids[name]), name) for name in waiting],
            "restarted",
            verb="Restart",
            loses=f"{told} {ENDS}",
        )


def _fields_of(waiting: Mapping[str, set[str]]) -> str:
    return ", ".join(sorted(set().union(*waiting.values())))


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
