"""Making and changing instances through forms, as they look and what they send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from swarmd.errors import Conflict, ValidationError
from swarmd.messages.enums import EventType, InstanceStatus, OperationKind
from swarmd.messages.operation import Operation, Progress
from swarmd.messages.requests import (
    CreateInstance,
    PlacementProvider,
    Request,
    RestartInstance,
    UpdateInstance,
)
from tests.tui import detail, scene
from tests.tui.driving import after, online, press, until
from tests.tui.fake import FakeClient, FakeDaemon
from tui.app import SwarmdApp
from tui.screens.confirm import Confirm
from tui.screens.create import CreateForm
from tui.screens.form import Form, FormField
from tui.screens.update import UpdateForm
from tui.views.instance import InstanceView


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    """One that answers for single instances."""
    return detail.busy(daemon)


async def form_of(pilot: Pilot[Any]) -> Form:
    """The form, once it is there."""
    await until(pilot, lambda: isinstance(pilot.app.screen, Form), lambda: pilot.app.screen)
    form = pilot.app.screen
    assert isinstance(form, Form)
    await until(pilot, lambda: form.query("#result"), lambda: form)
    return form


def typed(text: str, *, seen: str) -> Any:
    """A step: type this; ``|`` stands for the tab key; wait until that is beside it."""

    async def step(pilot: Pilot[Any]) -> None:
        form = await form_of(pilot)
        await pilot.press(*("tab" if letter == "|" else letter for letter in text))
        await until(pilot, lambda: seen in form.result.text, lambda: form.result.text)

    return step


def refused(_request: object) -> ValidationError:
    return ValidationError(
        "ana/web is there already", field="config.name", next_step="Choose another name."
    )


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        pytest.param("", "local", id="empty"),
        pytest.param("web|0||/srv/course|lots|many", "not right yet", id="error"),
        pytest.param("web||||9t", "made nowhere", id="placement"),
    ],
)
def test_create(snap_compare: Any, app: SwarmdApp, size: Any, text: str, seen: str) -> None:
    """Where it would be made; figures that are none, said below them; a refusal at its field."""
    steps = after(press("2", "c"), typed(text, seen=seen))
    assert snap_compare(app, terminal_size=size, run_before=steps)


def test_update(snap_compare: Any, app: SwarmdApp, size: Any) -> None:
    """What changes, and what of it waits for a restart."""

    async def open_web(pilot: Pilot[Any]) -> None:
        app.use("update", [app.snapshot.instances[detail.WEB.id]])

    steps = after(open_web, typed("4g|||||LANG=C", seen="env.LANG → C"))
    assert snap_compare(app, terminal_size=size, run_before=steps)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(60, 15), (80, 22), (80, 24)])
async def test_what_ends_a_form_is_in_sight_whatever_was_refused(
    app: SwarmdApp, size: tuple[int, int]
) -> None:
    async with app.run_test(size=size) as pilot:
        await online(pilot)
        await pilot.press("c")
        form = await form_of(pilot)
        form.fail("No provider can take it. " * 12)
        await until(
            pilot,
            lambda: all(
                form.find_widget(form.query_one(each)).visible_region.height == 1
                for each in ("#go", "#keys")
            ),
            lambda: form.find_widget(form.query_one("#go")),
        )
        form.fail("")
        await until(pilot, lambda: form.result.display == (size[1] > 21), lambda: form.classes)


@pytest.mark.anyio
async def test_a_low_terminal_shows_the_fields(app: SwarmdApp) -> None:
    """What comes of it gives way; each field is scrolled to, and what ends the form is there."""
    async with app.run_test(size=(60, 15)) as pilot:
        await online(pilot)
        await pilot.press("c")
        form = await form_of(pilot)
        assert not form.result.display
        fields = form.query_one("#fields")

        def in_sight(field: FormField) -> Callable[[], bool]:
            return lambda: field.input.has_focus and fields.region.contains_region(field.region)

        for field in form.fields.values():
            field.input.focus()
            await until(pilot, in_sight(field), lambda: (form.focused, fields.scroll_offset))


@pytest.mark.anyio
async def test_one_is_made_and_followed(app: SwarmdApp, daemon: FakeDaemon) -> None:
    made = scene.instance("new", number=77, status=InstanceStatus.CREATING)
    asked: list[CreateInstance] = []

    def create(request: CreateInstance) -> Operation:
        asked.append(request)
        operation = scene.operation(
            9, OperationKind.CREATE, made, progress=Progress(message="copying", fraction=0.3)
        )
        daemon.operations[operation.id] = operation
        daemon.put(made, type=EventType.INSTANCE_CREATED)
        daemon.emit(type=EventType.OPERATION_STARTED, target=made.id, operation=operation.id)
        return operation

    daemon.answers[CreateInstance] = create
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "c")
        await form_of(pilot)
        await pilot.press(*"new", "tab", "tab", "right", "tab", "tab", *"2g", "enter")
        await until(pilot, lambda: isinstance(app.view, InstanceView), lambda: app.screen)
        head = app.screen.query_one("#head")
        await until(pilot, lambda: "copying" in str(head.render()), head.render)
        assert app.path.here.target == made.id
        config = asked[0].config
        assert (config.name, config.provider, config.resources.memory) == ("new", "box1", 2 << 30)
        assert asked[0].wait is False
        assert asked[0].start is True


@pytest.mark.anyio
async def test_a_refusal_stands_at_its_field(app: SwarmdApp, daemon: FakeDaemon) -> None:
    daemon.answers[CreateInstance] = refused
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "c")
        form = await form_of(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: form.fields["name"].has_class("-wrong"), lambda: form)
        assert daemon.requests(CreateInstance) == []  # nothing is sent that cannot be right
        await pilot.press(*"web", "tab", "enter")
        await until(pilot, lambda: daemon.requests(CreateInstance), lambda: daemon.asked[-2:])
        name = form.fields["name"]
        await until(pilot, lambda: "there already" in problem(name), lambda: problem(name))
        assert app.focused is name.input
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        await pilot.press("y")
        await until(pilot, lambda: len(app.screen_stack) == 1, lambda: app.screen_stack)


def problem(field: Any) -> str:
    return str(field.query_one(".problem").render())


@pytest.mark.anyio
async def test_a_dry_run_waits_until_one_has_typed(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "c")
        form = await form_of(pilot)
        await until(pilot, lambda: "0.82" in form.result.text, lambda: form.result.text)
        before = len(daemon.requests(PlacementProvider))
        await pilot.press("tab", "tab", "tab", "tab", *"9t")
        memory = form.fields["memory"]
        await until(pilot, lambda: "at most 32g" in problem(memory), lambda: form.result.text)
        assert len(daemon.requests(PlacementProvider)) - before <= 2
        assert "made nowhere" in form.result.text


@pytest.mark.anyio
async def test_several_are_made_with_one_summary(app: SwarmdApp, daemon: FakeDaemon) -> None:
    def create(request: CreateInstance) -> Any:
        if request.config.name == "hw-2":
            return refused(request)
        made = scene.instance(request.config.name, number=80)
        return scene.operation(9, OperationKind.CREATE, made)

    daemon.answers[CreateInstance] = create
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        await pilot.press("2", "c")
        await form_of(pilot)
        await pilot.press(*"hw", "tab", "3", "enter")
        await until(pilot, lambda: list(app._notifications), lambda: daemon.asked[-3:])
        (told,) = app._notifications
        assert told.title == "2 of 3 being created, 1 not"
        assert "hw-2: ana/web is there already" in told.message


@pytest.mark.anyio
async def test_a_change_is_a_patch_and_offers_the_restart(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    daemon.answers[UpdateInstance] = lambda request: daemon.instances[request.id]
    daemon.answers[RestartInstance] = lambda request: daemon.instances[request.id]
    async with app.run_test() as pilot:
        await online(pilot)
        app.use("update", [app.snapshot.instances[detail.WEB.id]])
        form = await form_of(pilot)
        assert isinstance(form, UpdateForm)
        await pilot.press(*"4g", *["tab"] * 5, *"A=b", "enter")
        await until(pilot, lambda: daemon.requests(UpdateInstance), lambda: daemon.asked[-2:])
        (asked,) = daemon.requests(UpdateInstance)
        assert asked.changes == {
            "resources": {"memory": "4g"},
            "env": {"A": "b", "LANG": None},
        }
        assert asked.if_revision == detail.WEB.revision
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        await pilot.press("y")
        await until(pilot, lambda: daemon.requests(RestartInstance), lambda: daemon.asked[-2:])


@pytest.mark.anyio
async def test_a_restart_at_once_asks_first_and_tells_its_failure(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    daemon.answers[UpdateInstance] = lambda _: Conflict("it is being deleted")
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        app.use("update", [app.snapshot.instances[detail.WEB.id]])
        form = await form_of(pilot)
        await pilot.press(*"4g")
        form.fields["restart"].input.focus()
        await pilot.press("right", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        words = [str(each.render()) for each in app.screen.query("Label")]
        assert words[0] == "Change and restart ana/web?"
        assert "terminals, servers" in words[1]
        assert daemon.requests(UpdateInstance) == []
        await pilot.press("y")
        await until(pilot, lambda: list(app._notifications), lambda: daemon.asked[-2:])
        (told,) = app._notifications
        assert (told.title, told.message) == ("ana/web", "it is being deleted")
        assert [each.restart for each in daemon.requests(UpdateInstance)] == [True]


@pytest.mark.anyio
async def test_many_are_changed_at_once(app: SwarmdApp, daemon: FakeDaemon) -> None:
    daemon.answers[UpdateInstance] = lambda request: daemon.instances[request.id]
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "space", "space", "u")
        form = await form_of(pilot)
        form.fields["labels"].input.focus()
        await pilot.press(*"team=red", "enter")
        await until(
            pilot, lambda: len(daemon.requests(UpdateInstance)) == 2, lambda: daemon.asked[-2:]
        )
        assert {str(each.changes) for each in daemon.requests(UpdateInstance)} == {
            "{'labels': {'team': 'red'}}"
        }


def slowly(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, kind: type[Request]
) -> asyncio.Event:
    """The daemon answers requests of this kind only once the event is set."""
    answer, go = FakeClient.call_typed, asyncio.Event()

    async def late(self: FakeClient, request: Request, *, timeout: float | None = None) -> Any:
        if isinstance(request, kind):
            daemon.asked.append(request)
            await go.wait()
        return await answer(self, request, timeout=timeout)

    monkeypatch.setattr(FakeClient, "call_typed", late)
    return go


@pytest.mark.anyio
async def test_what_was_asked_for_outlives_its_form(
    app: SwarmdApp, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers[CreateInstance] = refused
    go = slowly(daemon, monkeypatch, CreateInstance)
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        await pilot.press("2", "c")
        form = await form_of(pilot)
        await pilot.press(*"web", "enter")
        await until(pilot, lambda: daemon.requests(CreateInstance), lambda: daemon.asked[-2:])
        assert "it goes on" in str(form.query_one("#keys").render())
        await pilot.press("escape")  # no "nothing has been done yet"
        await until(pilot, lambda: len(app.screen_stack) == 1, lambda: app.screen_stack)
        go.set()
        told = app._notifications
        await until(pilot, lambda: len(told) == 2, lambda: [each.message for each in told])
        assert "ana/web is there already" in [*told][1].message


@pytest.mark.anyio
async def test_an_answer_closes_the_form_and_not_what_lies_on_it(
    app: SwarmdApp, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers[CreateInstance] = lambda _: scene.operation(
        9, OperationKind.CREATE, scene.instance("new", number=77)
    )
    go = slowly(daemon, monkeypatch, CreateInstance)
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "c")
        form = await form_of(pilot)
        await pilot.press(*"new", "enter")
        await until(pilot, lambda: daemon.requests(CreateInstance), lambda: daemon.asked[-2:])
        on_top = Confirm("Something else", [], "")
        app.push_screen(on_top)
        await until(pilot, lambda: app.screen is on_top, lambda: app.screen_stack)
        go.set()
        await until(pilot, lambda: app.path.here.view == "instance", lambda: app.path)
        assert app.screen is on_top
        on_top.dismiss(False)
        await until(pilot, lambda: form not in app.screen_stack, lambda: app.screen_stack)
        assert len(app.screen_stack) == 1


@pytest.mark.anyio
async def test_a_form_left_untouched_asks_nothing(app: SwarmdApp) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "c")
        assert isinstance(await form_of(pilot), CreateForm)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1, lambda: app.screen_stack)
