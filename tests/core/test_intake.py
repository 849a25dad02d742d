"""From a request to a verdict: who is named, where it goes, what is refused and why."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from swarmd.core.intake import Intake, check_driven, decide, where
from swarmd.core.placement import Rules
from swarmd.core.tables import Change, ProviderView, Tables
from swarmd.core.wishes import Verdict
from swarmd.errors import Conflict, InternalError, SwarmError, Unavailable
from swarmd.messages import codec
from swarmd.messages.enums import (
    AuthType,
    DesiredState,
    InstanceStatus,
    OperationKind,
    OperationState,
)
from swarmd.messages.instance import Auth, Instance, InstanceConfig, Network, Resources
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from swarmd.messages.requests import (
    CreateInstance,
    DeleteInstance,
    ImportInstance,
    Mutation,
    PlacementProvider,
    RestartInstance,
    StartInstance,
    StopInstance,
    UndeleteInstance,
    UpdateInstance,
)
from swarmd.messages.secret import MASK, Secret
from swarmd.messages.units import Size
from tests.core.desk import ANA, BO, LOCAL, READY, tables_of
from tests.core.samples import NODE, NOW, caps, config, instance, make_id

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g"


def intake(**values: Any) -> Intake:
    defaults: dict[str, Any] = {
        "operation_id": make_id(100),
        "instance_id": make_id(9),
        "caller": ANA,
        "now": NOW,
        "node": NODE,
        "password": "fresh password",
        "digest": "d",
        "lasts": 60.0,
    }
    rules = {"default_provider": "local"} | {
        each.name: values.pop(each.name) for each in fields(Rules) if each.name in values
    }
    return Intake(**defaults | {"rules": Rules(**rules)} | values)


def decided(request: Mutation, tables: Tables, **values: Any) -> tuple[Operation, Instance]:
    """The operation and the record of an accepted request."""
    verdict = decide(tables, request, intake(**values))
    after = tables.apply(verdict.change)
    operation = after.operations[verdict.operation_id]
    return operation, after.instances[operation.target]


def refused(request: Mutation, tables: Tables, **values: Any) -> SwarmError:
    with pytest.raises(SwarmError) as caught:
        decide(tables, request, intake(**values))
    return caught.value


def create(**values: Any) -> CreateInstance:
    return CreateInstance(config=config(values.pop("name", "web"), **values))


# --- creations --------------------------------------------------------------------------------


def test_a_create() -> None:
    request = create(labels={"team": "red"}, metadata={"note": "x"})
    operation, record = decided(request, tables_of())
    assert (operation.id, operation.kind) == (make_id(100), OperationKind.CREATE)
    assert (operation.target_ref, operation.request_digest) == ("ana/web", "d")
    assert operation.arguments["start"] is True
    assert (record.id, record.node, record.provider, record.provider_type) == (
        make_id(9), NODE, "local", "local",
    )  # fmt: skip
    assert (record.status, record.desired) == (InstanceStatus.CREATING, DesiredState.RUNNING)
    assert record.metadata == {"note": "x"}
    assert (record.created_at, record.revision, record.epoch) == (NOW, 1, 1)


def test_an_import_that_is_not_to_start_for_someone_else() -> None:
    request = ImportInstance(upload="u1", config=config(), owner="bo", start=False)
    operation, record = decided(request, tables_of(instance(1)))
    assert operation.kind is OperationKind.IMPORT
    assert operation.arguments["upload"] == "u1"
    assert (record.owner, record.desired) == ("bo", DesiredState.STOPPED)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (Auth(), Auth(credentials=Secret("fresh password"))),
        (Auth(credentials=Secret("mine")), Auth(credentials=Secret("mine"))),
        (Auth(type=AuthType.NONE), Auth(type=AuthType.NONE)),
        (
            Auth(type=AuthType.HASHED_PASSWORD, credentials=Secret(HASH)),
            Auth(type=AuthType.HASHED_PASSWORD, credentials=Secret(HASH)),
        ),
    ],
)
def test_passwords(given: Auth, kept: Auth) -> None:
    _, record = decided(create(auth=given), tables_of())
    assert record.config.auth == kept


BOX = ProviderRecord(name="box1", type="docker")
OFF = ProviderRecord(name="local", type="local", enabled=False)
CORDONED = ProviderRecord(name="local", type="local", cordoned=True)
SMALL = ProviderView(ProviderHealth(ok=True), caps(max_instances=1))
OWN = ProviderView(ProviderHealth(ok=True), caps(max_instances_per_user=1))
BOTH = tables_of().apply(Change(providers=(LOCAL, BOX), views={"box1": READY}))


@pytest.mark.parametrize(
    ("wanted", "default", "chosen"), [("box1", "local", "box1"), (None, "box1", "box1")]
)
def test_where_it_goes(wanted: str | None, default: str, chosen: str) -> None:
    _, record = decided(create(provider=wanted), BOTH, default_provider=default)
    assert (record.provider, record.provider_type) == (chosen, "docker")


@pytest.mark.parametrize(
    ("request_", "change", "kind", "field", "hint"),
    [
        (create(name=""), Change(), "validation_error", "config.name", "Use 1 to 63"),
        (create(name="a/b"), Change(), "validation_error", "config.name", "Use 1 to 63"),
        (create(name="a\nb"), Change(), "validation_error", "config.name", "Use 1 to 63"),
        (create(name="x" * 64), Change(), "validation_error", "config.name", "Use 1 to 63"),
        (
            CreateInstance(config=config(), owner="a/b"),
            Change(),
            "validation_error",
            "owner",
            "Use 1 to 63",
        ),
        (create(), Change(instances=(instance(1),)), "conflict", "config.name", "swarmctl rm"),
        (
            create(provider="lokal"),
            Change(),
            "provider_not_found",
            "config.provider",
            "Did you mean local?",
        ),
        (
            create(),
            Change(providers=(OFF,)),
            "provider_not_found",
            "config.provider",
            "providers enable",
        ),
        (
            create(provider="local"),
            Change(providers=(OFF,)),
            "unavailable",
            "config.provider",
            "enable local",
        ),
        (create(), Change(providers=(CORDONED,)), "conflict", "config.provider", "enable local"),
        (
            create(name="api"),
            Change(instances=(instance(1),), views={"local": SMALL}),
            "resource_limit_error",
            "config.provider",
            "swarmctl rm",
        ),
        (
            create(name="api"),
            Change(instances=(instance(1),), views={"local": OWN}),
            "resource_limit_error",
            "config.provider",
            "swarmctl rm",
        ),
        (
            create(resources=Resources(memory=Size(64 << 30))),
            Change(),
            "resource_limit_error",
            "config.resources.memory",
            "at most",
        ),
        (create(image="img"), Change(), "validation_error", "config.image", "Leave image out"),
        (
            create(network=Network(enable_public_access=True)),
            Change(),
            "validation_error",
            "config.network.enable_public_access",
            "daemon.insecure",
        ),
        (
            create(auth=Auth(credentials=Secret(MASK))),
            Change(),
            "validation_error",
            "config.auth.credentials",
            "Give the password",
        ),
        (
            create(auth=Auth(type=AuthType.HASHED_PASSWORD, credentials=Secret("plain"))),
            Change(),
            "validation_error",
            "config.auth.credentials",
            "argon2",
        ),
    ],
)
def test_a_refused_create(
    request_: CreateInstance, change: Change, kind: str, field: str, hint: str
) -> None:
    error = refused(request_, tables_of().apply(change))
    assert (error.type, error.field) == (kind, field)
    assert hint in str(error.next_step)


@pytest.mark.parametrize("insecure", [False, True])
def test_public_access_where_the_network_is_trusted(insecure: bool) -> None:
    request = create(network=Network(enable_public_access=True))
    if insecure:
        assert decided(request, tables_of(), insecure=True)
    else:
        assert refused(request, tables_of()).type == "validation_error"


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (None, "not asked yet"),
        (ProviderView(ProviderHealth(ok=False, message="no server is installed")), "no server"),
    ],
)
def test_a_provider_that_is_not_ready(view: ProviderView | None, message: str) -> None:
    tables = tables_of().apply(Change(views={"local": view}))
    error = refused(create(), tables)
    assert isinstance(error, Unavailable)
    assert message in error.message
    assert error.next_step == "Look at it: swarmctl providers get local."


def test_a_refusal_names_the_provider_that_could() -> None:
    able = ProviderView(ProviderHealth(ok=True), caps(config_fields=("image",)))
    tables = BOTH.apply(Change(views={"box1": able}))
    error = refused(create(image="img", provider="local"), tables)
    assert "box1" in str(error.next_step)


def test_the_argument_wins_over_the_configuration() -> None:
    request = CreateInstance(config=config(provider="local"), at_provider="box1")
    operation, record = decided(request, BOTH)
    assert (record.provider, record.config.provider) == ("box1", "box1")
    assert "placement" not in operation.arguments, "who is named has no stand-in"


def test_what_is_wrong_in_itself_is_told_before_any_provider_is_looked_at() -> None:
    error = refused(create(env={"1A": "x"}), tables_of().apply(Change(providers=(OFF,))))
    assert (error.type, error.field) == ("validation_error", "config.env")


@pytest.mark.parametrize("fallback", [True, False])
def test_the_story_and_the_record_of_a_placement(fallback: bool) -> None:
    request = create(resources=Resources(cpu=1))
    verdict = decide(BOTH, request, intake(fallback=fallback))
    (told,) = (each for _, each in verdict.change.reasons if each.what == "placed at local")
    assert told.why == (
        "the first of 2 that take it; daemon.default_provider; "
        "balanced gives it 1.5 (capacity 1, cpu 0.5, priority 0)"
    )
    assert told.operation == make_id(100)
    (operation,) = verdict.change.operations
    kept = {"strategy": "balanced", "insecure": False, "tried": [], "next": ["box1"]}
    assert operation.arguments.get("placement") == (kept if fallback else None)


def test_where_it_would_go() -> None:
    asked = PlacementProvider(config=config(), owner="bo")
    placement = where(BOTH, asked, ANA, Rules(strategy="least_instances"))
    assert [each.provider for each in placement.ranked] == ["box1", "local"]
    own = ProviderView(ProviderHealth(ok=True), caps(max_instances_per_user=1))
    full = BOTH.apply(Change(instances=(instance(1, owner="bo"),), views={"local": own}))
    placement = where(full, asked, ANA, Rules(default_provider="local"))
    assert placement.chosen == "box1"
    assert placement.refused[0].reason.startswith("the owner has 1 instances at provider local")
    with pytest.raises(SwarmError) as caught:
        where(BOTH, PlacementProvider(config=config(name="a/b")), ANA, Rules())
    assert caught.value.field == "config.name"


# --- the rest ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status", "kind", "arguments"),
    [
        (StartInstance(id="web"), InstanceStatus.STOPPED, OperationKind.START, {}),
        (
            StopInstance(id="web", force=True),
            InstanceStatus.RUNNING,
            OperationKind.STOP,
            {"force": True},
        ),
        (
            RestartInstance(id="web"),
            InstanceStatus.RUNNING,
            OperationKind.RESTART,
            {"force": False},
        ),
        (
            DeleteInstance(id="ana/web"),
            InstanceStatus.RUNNING,
            OperationKind.DELETE,
            {"force": False},
        ),
        (
            DeleteInstance(id="web", force=True),
            InstanceStatus.DELETED,
            OperationKind.DELETE,
            {"force": True},
        ),
        (
            UndeleteInstance(id="web", name="old"),
            InstanceStatus.DELETED,
            OperationKind.UNDELETE,
            {"name": "old"},
        ),
    ],
)
def test_requests(
    request_: Mutation, status: InstanceStatus, kind: OperationKind, arguments: dict[str, Any]
) -> None:
    operation, _ = decided(request_, tables_of(instance(1, status=status)))
    assert operation.kind is kind
    assert operation.arguments.items() >= arguments.items()
    assert operation.state is OperationState.RUNNING


def test_an_undelete_means_the_one_in_the_trash() -> None:
    tables = tables_of(instance(1, status=InstanceStatus.DELETED), instance(2))
    operation, _ = decided(UndeleteInstance(id="web", name="old"), tables)
    assert operation.target == make_id(1)
    assert refused(UndeleteInstance(id="web"), tables).field == "name"
    assert decided(StopInstance(id="web"), tables)[0].target == make_id(2)


@pytest.mark.parametrize(
    ("request_", "status", "kind", "field", "hint"),
    [
        (StartInstance(id="nope"), InstanceStatus.STOPPED, "instance_not_found", "id", "ls"),
        (StartInstance(id=" "), InstanceStatus.STOPPED, "validation_error", "id", "Give an id"),
        (
            StartInstance(id="web"),
            InstanceStatus.DELETED,
            "conflict",
            "id",
            f"swarmctl undelete {make_id(1)}",
        ),
        (DeleteInstance(id="web"), InstanceStatus.DELETED, "conflict", "id", "swarmctl rm --force"),
        (UndeleteInstance(id="web"), InstanceStatus.RUNNING, "conflict", "id", "ls --trash"),
        (
            UndeleteInstance(id="web", name="a/b"),
            InstanceStatus.DELETED,
            "validation_error",
            "name",
            "Use 1 to 63",
        ),
    ],
)
def test_a_refused_request(
    request_: Mutation, status: InstanceStatus, kind: str, field: str, hint: str
) -> None:
    error = refused(request_, tables_of(instance(1, status=status)))
    assert (error.type, error.field) == (kind, field)
    assert hint in str(error.next_step)


def update(changes: dict[str, Any], **values: Any) -> UpdateInstance:
    return UpdateInstance(id="web", changes=changes, **values)


def test_an_update_is_a_merge_patch() -> None:
    found = instance(1, config=config(env={"A": "1"}, auth=Auth(credentials=Secret("mine"))))
    operation, record = decided(
        update({"env": {"B": "2"}}, restart=True, if_revision=1), tables_of(found)
    )
    after = codec.convert(operation.arguments["config"], InstanceConfig)
    assert after.env == {"A": "1", "B": "2"}
    assert after.auth.credentials == Secret("mine")
    assert (operation.arguments["restart"], operation.arguments["if_revision"]) == (True, 1)
    assert record.config == found.config


def test_an_update_that_takes_the_password_away_makes_a_new_one() -> None:
    found = instance(1, config=config(auth=Auth(type=AuthType.NONE)))
    operation, _ = decided(update({"auth": None}), tables_of(found))
    after = codec.convert(operation.arguments["config"], InstanceConfig)
    assert after.auth == Auth(credentials=Secret("fresh password"))


@pytest.mark.parametrize(
    ("changes", "kind", "field"),
    [
        ({"resources": {"memory": "12x"}}, "validation_error", "changes.resources.memory"),
        ({"resources": {"memory": "64g"}}, "resource_limit_error", "changes.resources.memory"),
        ({"envv": {}}, "validation_error", "changes.envv"),
        ({"env": {"1A": "x"}}, "validation_error", "changes.env"),
        ({"image": "img"}, "validation_error", "changes.image"),
        ({"name": "api"}, "validation_error", "changes.name"),
    ],
)
def test_a_refused_update_blames_what_was_sent(
    changes: dict[str, Any], kind: str, field: str
) -> None:
    error = refused(update(changes), tables_of(instance(1)))
    assert (error.type, error.field) == (kind, field)
    assert error.next_step


def test_an_update_at_a_provider_that_is_not_ready() -> None:
    tables = tables_of(instance(1)).apply(Change(views={"local": None}))
    error = refused(update({"protect": True}), tables)
    assert (error.type, error.field) == ("unavailable", None)


def test_an_update_of_an_old_revision() -> None:
    error = refused(update({"protect": True}, if_revision=7), tables_of(instance(1)))
    assert (error.type, error.field) == ("conflict", "if_revision")


def test_only_what_is_driven_is_changed() -> None:
    gone = tables_of(instance(1, provider="old"))
    error = refused(StopInstance(id="web"), gone)
    assert error.type == "unavailable"
    assert "swarmctl providers register" in str(error.next_step)
    off = tables_of(instance(1)).apply(Change(providers=(OFF,)))
    with pytest.raises(Unavailable) as caught:
        check_driven(off, "local")
    assert "swarmctl providers enable local" in str(caught.value.next_step)
    check_driven(tables_of(), "local")


def test_a_request_that_is_no_operation() -> None:
    with pytest.raises(InternalError, match="no operation for a Mutation"):
        decide(tables_of(), Mutation(), intake())


# --- asked again ------------------------------------------------------------------------------


def again(tables: Tables, request: Mutation, **values: Any) -> Verdict:
    fresh: dict[str, Any] = {"operation_id": make_id(200), "instance_id": make_id(201)}
    return decide(tables, request, intake(**fresh | values))


@pytest.mark.parametrize(
    ("request_", "change"),
    [
        (
            CreateInstance(config=config(), idempotency_key="k"),
            Change(views={"local": SMALL}),
        ),
        (
            DeleteInstance(id=make_id(1), force=True, idempotency_key="k"),
            Change(drop_instances=(make_id(1),)),
        ),
        (StopInstance(id="web", idempotency_key="k"), Change(providers=(OFF,))),
    ],
)
def test_what_was_done_already_is_not_refused(request_: Mutation, change: Change) -> None:
    """Though it would be now: there is no room any more, it is gone, or not driven."""
    there = () if isinstance(request_, CreateInstance) else (instance(1),)
    tables = tables_of(*there)
    first = decide(tables, request_, intake())
    after = tables.apply(first.change).apply(change)
    verdict = again(after, request_)
    assert (verdict.operation_id, verdict.joined) == (first.operation_id, True)
    with pytest.raises(Conflict) as caught:
        again(after, request_, digest="other")
    assert caught.value.field == "idempotency_key"
    with pytest.raises(SwarmError) as theirs:
        again(after, request_, caller=BO)
    assert theirs.value.field != "idempotency_key"
