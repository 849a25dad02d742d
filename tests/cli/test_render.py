"""Request Structs as options, and what was typed as params."""

import io
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from swarmd.cli.render import Form, leaves
from swarmd.messages import codec, requests
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.methods import METHODS

CREATE = Form(requests.CreateInstance, arguments={"config.name": "NAME"}, skip=["timeout"])


def parse(form: Form, *words: str) -> dict[str, Any]:
    seen: list[dict[str, Any]] = []

    def run(**values: Any) -> None:
        seen.append(form.collect(values))
        assert not values

    click.Command("x", params=form.parameters(), callback=run).main(
        list(words), standalone_mode=False
    )
    return seen[0]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_request_can_be_rendered(method: Any) -> None:
    form = Form(method.request)
    names = [name for one in form.parameters() for name in one.opts]
    assert len(names) == len(set(names)) or method.name in ("instance.create", "instance.import")
    assert len(form.leaves) == len(list(leaves(method.request)))


def test_options_of_create_do_not_clash() -> None:
    names = [name for one in CREATE.parameters() for name in (*one.opts, *one.secondary_opts)]
    assert len(names) == len(set(names))


def test_every_option_of_create_has_help() -> None:
    silent = [
        one.opts[0] for one in CREATE.parameters() if isinstance(one, click.Option) and not one.help
    ]
    assert silent == ["--auth-type"]


def test_what_is_not_given_is_not_sent() -> None:
    assert parse(CREATE, "web") == {"config": {"name": "web"}}


def test_nested_fields_are_flattened_and_put_back() -> None:
    params = parse(
        CREATE,
        *("web", "--memory", "2g", "--cpu", "0.5", "--storage", "10", "--pids", "99"),
        *("--label", "a=b", "--label", "c=d=e", "--env", "X=", "--extension", "x.y"),
        *("--port", "8080", "--port", "9000:80", "--port", "0:53/udp", "--public", "--protect"),
        *("--auth-type", "none", "--start-timeout", "90", "--idle-timeout", "1h30m"),
        *("--no-start", "--no-wait", "--owner", "ana"),
    )
    assert params == {
        "wait": False,
        "owner": "ana",
        "start": False,
        "config": {
            "name": "web",
            "resources": {"cpu": 0.5, "memory": "2g", "storage": "10g", "pids": 99},
            "network": {
                "ports": [
                    {"container_port": 8080},
                    {"container_port": 80, "host_port": 9000},
                    {"container_port": 53, "host_port": 0, "protocol": "udp"},
                ],
                "enable_public_access": True,
            },
            "env": {"X": ""},
            "extensions": ["x.y"],
            "auth": {"type": "none"},
            "labels": {"a": "b", "c": "d=e"},
            "health": {"start_timeout": "90s"},
            "idle_timeout": "5400s",
            "protect": True,
        },
    }
    codec.convert(params, requests.CreateInstance)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--memory", "12x"], "expected a size"),
        (["--memory", "-1"], "expected a size"),
        (["--cpu", "0"], "0.0 is not in the range x>0"),
        (["--cpu", "-1"], "not in the range"),
        (["--pids", "3"], "not in the range x>=16"),
        (["--idle-timeout", "soon"], "expected a duration"),
        (["--label", "team"], "expected KEY=VALUE"),
        (["--env", "=x"], "expected KEY=VALUE"),
        (["--port", "http"], "expected a port"),
        (["--port", "80/sctp"], "expected a port"),
        (["--port", ":80"], "expected a port"),
        (["--port", "a:80"], "expected a port"),
        (["--auth-type", "magic"], "is not one of"),
        (["--password-file", "/no/such/file"], "No such file"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_values_are_wrong_usage(words: list[str], told: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        parse(CREATE, "web", *words)
    assert told in caught.value.format_message()
    assert words[0] in caught.value.format_message()


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\r\nsecond line\n")
    params = parse(CREATE, "web", "--password-file", str(file))
    assert params["config"]["auth"] == {"credentials": "s3cret"}


@pytest.mark.parametrize("words", [["--password-stdin"], ["--password-file", "-"]])
def test_a_secret_comes_from_standard_input(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cret\n"))
    assert parse(CREATE, "web", *words)["config"]["auth"] == {"credentials": "s3cret"}


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("\n")
    with pytest.raises(click.UsageError, match="is empty"):
        parse(CREATE, "web", "--password-file", str(file))


def test_no_option_takes_a_secret_itself() -> None:
    names = [name for one in CREATE.parameters() for name in one.opts]
    assert "--password" not in names
    assert "--credentials" not in names


def test_a_partial_form_requires_nothing_and_tells_no_from_not_given() -> None:
    form = Form(InstanceConfig, partial=True)
    assert parse(form) == {}
    assert parse(form, "--no-protect", "--no-public") == {
        "protect": False,
        "network": {"enable_public_access": False},
    }
    assert parse(form, "--name", "new") == {"name": "new"}


def test_what_is_not_set_by_default_can_be_switched_both_ways() -> None:
    assert parse(CREATE, "web", "--no-recover")["config"]["health"] == {"recover": False}
    assert parse(CREATE, "web", "--recover")["config"]["health"] == {"recover": True}
    assert "health" not in parse(CREATE, "web")["config"]


def test_words_are_told_once() -> None:
    told = [getattr(one, "help", None) or "" for one in CREATE.parameters()]
    (probe,) = (text for text in told if "tcp" in text)
    assert probe.count("tcp") == 1


def test_positional_arguments_come_first_and_may_be_many() -> None:
    stats = Form(requests.StatsInstance, arguments={"id": "NAME"})
    assert parse(stats, "a", "b") == {"id": ["a", "b"]}
    assert parse(stats) == {}
    execute = Form(requests.ExecInstance, arguments={"id": "NAME", "command": "COMMAND"})
    assert parse(execute, "--workdir", "src", "web", "--", "ls", "-la") == {
        "id": "web",
        "command": ["ls", "-la"],
        "workdir": "src",
    }


def test_values_of_provider_options_may_be_json() -> None:
    form = Form(requests.RegisterProvider, arguments={"name": "NAME"})
    params = parse(
        form, "x", "--type", "local", "--option", 'roots=["/srv"]', "--option", "port_range=1-2"
    )
    assert params["options"] == {"roots": ["/srv"], "port_range": "1-2"}
    assert params["type"] == "local"


def test_short_letters() -> None:
    form = Form(requests.LogsInstance, arguments={"id": "NAME"}, letters={"follow": "-f"})
    assert parse(form, "web", "-f", "--tail", "3") == {"id": "web", "follow": True, "tail": 3}


def test_long_lists_of_words_stand_in_the_help() -> None:
    form = Form(requests.ListInstances)
    options = {one.name: one for one in form.parameters()}
    status = options["status"]
    assert isinstance(status, click.Option)
    assert status.metavar == "STATUS"
    assert "creating, created" in (status.help or "")
