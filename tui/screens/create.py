"""Making an instance, or several: while one types it is shown where they would be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from textual import work

from swarmd.errors import SwarmError
from swarmd.messages.instance import Auth, InstanceConfig
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderInfo
from swarmd.messages.requests import CreateInstance, PlacementProvider
from tui.doing import each_of, summary
from tui.model.placing import placing, refusal
from tui.model.text import line
from tui.model.typed import Read, field_of, read_create, requests_of
from tui.navigation import Place
from tui.screens.form import FieldSpec, Form

if TYPE_CHECKING:
    from tui.app import SwarmdApp

_YES_NO = (("yes", "yes"), ("no", "no"))


def fields(providers: Mapping[str, ProviderInfo]) -> Iterator[FieldSpec]:
    """The fields, in their order.

    Args:
        providers: Those there are.
    """
    known = tuple((name, name) for name in sorted(providers))
    yield FieldSpec("name", "name", "web; of several {n} is the number")
    yield FieldSpec("count", "count", "1")
    yield FieldSpec("provider", "provider", options=(("", "automatic"), *known))
    yield FieldSpec("workspace", "workspace", "empty and managed; or a path, or a git URL")
    yield FieldSpec("memory", "memory", "the provider's default; 512m, 2g")
    yield FieldSpec("cpu", "cpu", "the provider's default; cores: 0.5, 2")
    yield FieldSpec("image", "image", "the provider's default; container providers")
    yield FieldSpec("labels", "labels", "team=red course='VS Code'")
    yield FieldSpec("extensions", "extensions", "ms-python.python golang.go@0.41.0")
    yield FieldSpec("password", "password", "made for you", secret=True)
    yield FieldSpec("start", "start", options=_YES_NO)


class CreateForm(Form):
    """See the module's docstring.

    Args:
        providers: Those there are.
    """

    def __init__(self, providers: Mapping[str, ProviderInfo]) -> None:
        super().__init__("Create an instance", "Create", fields(providers))

    def problems(self) -> Mapping[str, str]:
        """What the daemon's own Structs and rules say."""
        return read_create(self.values).problems

    # --- where it would be made --------------------------------------------------------------

    def look(self) -> None:
        """Ask for a dry run, unless what is typed cannot be right; no name yet is no matter."""
        values = self.values
        read = read_create(values if values["name"].strip() else {**values, "name": "new"})
        if read.problems:
            self.workers.cancel_group(self, "placement")
            self.result.show(lambda _w, _h: (line("What is typed is not right yet.", "dim"),))
            return
        self._place(read)

    @work(exclusive=True, group="placement", exit_on_error=False)
    async def _place(self, read: Read) -> None:
        # A dry run needs no password.
        config = msgspec.structs.replace(next(iter(requests_of(read))).config, auth=Auth())
        try:
            found = await self.swarmd.link.ask(PlacementProvider(config=config))
        except SwarmError as error:
            shown = error
            self.result.show(lambda width, _h: refusal(shown, width))
            if field_of(error.field) is not None:
                self.refused_at(error)
            return
        self.result.show(lambda width, _h: placing(found, width))

    def refused_at(self, error: SwarmError) -> None:
        """The dry run names a field: say so there, and leave the cursor where one types."""
        name = field_of(error.field)
        if name is not None and self.fields[name].touched:
            self.fields[name].wrong(error.message)

    # --- making ------------------------------------------------------------------------------

    def send(self) -> None:
        """Begin with all of them."""
        first, *others = requests_of(read_create(self.values))
        self.carry_out(self._create(self.swarmd, first, others))

    async def _create(
        self, app: SwarmdApp, first: CreateInstance, others: Sequence[CreateInstance]
    ) -> None:
        """The first alone, so that what is wrong is said here; then the others."""
        try:
            begun = await app.link.ask(first)
        except SwarmError as error:
            if not self.answered(error):
                app.failed(error, first.config.name)
            return
        here = self.answered()
        if others:
            await self._others(app, first.config, others, show=here)
        elif here and isinstance(begun, Operation):
            self._follow(app, begun)
        else:
            app.notify(f"{first.config.name} is being created", markup=False)

    def _follow(self, app: SwarmdApp, begun: Operation) -> None:
        """Go to the new one, where its progress is shown."""
        if app.path.here.view == "instance":
            app.path = app.path.back()  # beside that one, not below it
        app.go(Place("instance", begun.target, begun.target_ref))

    async def _others(
        self,
        app: SwarmdApp,
        first: InstanceConfig,
        others: Sequence[CreateInstance],
        *,
        show: bool,
    ) -> None:
        if show:
            app.action_view("instances")
        pairs = [(each.config.name, each) for each in others]
        failed = await each_of(app.link, pairs)
        summary(app, "being created", [first.name, *(name for name, _ in pairs)], failed)
