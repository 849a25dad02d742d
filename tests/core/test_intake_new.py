"""Requests for what is not there yet: who is named, where it goes, what is refused and why."""

from __future__ import annotations

import pytest

from swarmd.core.tables import Change, ProviderView
from swarmd.errors import Unavailable
from swarmd.messages.enums import AuthType, DesiredState, InstanceStatus, OperationKind
from swarmd.messages.instance import Auth, Network, Resources
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from swarmd.messages.requests import CreateInstance, ImportInstance
from swarmd.messages.secret import MASK, Secret
from swarmd.messages.units import Size
from tests.core.desk import LOCAL, READY, tables_of
from tests.core.intakes import OFF, SMALL, create, decided, refused
from tests.core.samples import NODE, NOW, caps, config, instance, make_id

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g"


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
CORDONED = ProviderRecord(name="local", type="local", cordoned=True)
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
        (create(), Change(providers=(OFF,)), "unavailable", "config.provider", "enable local"),
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
        (None, "it has not been asked yet"),
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
    error = refused(create(image="img"), tables)
    assert "box1" in str(error.next_step)
