"""Making an instance, or several: while one types it is shown where they would be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
        self._create()

    @work(exclusive=True, group="create", exit_on_error=False)
    async def _create(self) -> None:
        """The first alone, so that what is wrong is said here; then the others."""
        self.busy = True
        first, *others = requests_of(read_create(self.values))
        try:
            begun = await self.swarmd.link.ask(first)
        except SwarmError as error:
            self.refused(error)
            return
        finally:
            self.busy = False
        self.dismiss(None)
        if others:
            self.swarmd.run_worker(self._others(first.config, others), exit_on_error=False)
        else:
            self._follow(begun, first.config)

    def _follow(self, begun: object, config: InstanceConfig) -> None:
        """Go to the new one, where its progress is shown."""
        if isinstance(begun, Operation):
            if self.swarmd.path.here.view == "instance":
                self.swarmd.path = self.swarmd.path.back()  # beside that one, not below it
            self.swarmd.go(Place("instance", begun.target, begun.target_ref))
        else:
            self.swarmd.notify(f"{config.name} is being created", markup=False)

    async def _others(self, first: InstanceConfig, others: list[CreateInstance]) -> None:
        app = self.swarmd
        app.action_view("instances")
        pairs = [(each.config.name, each) for each in others]
        failed = await each_of(app.link, pairs)
        summary(app, "being created", [first.name, *(name for name, _ in pairs)], failed)
