"""Variables from a file: argv is for every user of the host to read."""

from pathlib import Path

import pytest

from swarmd.messages import requests
from tests.api.fake_streams import BytesSession
from tests.cli.driver import ctl
from tests.cli.server import Served

TEXT = """# secrets
TOKEN=s3cret=with=signs

 SPACED = kept as it stands
EMPTY=
"""
WANTED = {"TOKEN": "s3cret=with=signs", "SPACED": " kept as it stands", "EMPTY": ""}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.env"
    path.write_text(TEXT)
    return path


def env_of(served: Served) -> dict[str, str]:
    (instance,) = served.daemon.by_id.values()
    return dict(instance.config.env)


def test_create_takes_variables_from_a_file(served: Served, file: Path) -> None:
    ran = ctl("create", "web", "--env-file", file, "--env", "EMPTY=no")
    assert ran.code == 0, ran.err
    assert env_of(served) == WANTED | {"EMPTY": "no"}, "a flag wins"


def test_several_files_and_standard_input(served: Served, file: Path) -> None:
    ran = ctl("create", "web", "--env-file", file, "--env-file", "-", stdin="EMPTY=last\r\nB=2")
    assert ran.code == 0, ran.err
    assert env_of(served) == WANTED | {"EMPTY": "last", "B": "2"}


def test_a_file_of_instances_stands_below(served: Served, file: Path, tmp_path: Path) -> None:
    described = tmp_path / "web.toml"
    described.write_text('name = "web"\nenv = {TOKEN = "old", OTHER = "x"}')
    assert ctl("create", "-f", described, "--env-file", file).code == 0
    assert env_of(served) == WANTED | {"OTHER": "x"}


def test_update_takes_variables_from_a_file(served: Served, file: Path) -> None:
    assert ctl("create", "web", "--env", "OLD=1").code == 0
    ran = ctl("update", "web", "--env-file", file)
    assert ran.code == 0, ran.err
    assert env_of(served)["TOKEN"] == "s3cret=with=signs"


def test_import_takes_variables_from_a_file(served: Served, file: Path, tmp_path: Path) -> None:
    archive = tmp_path / "web.tar"
    archive.write_bytes(bytes(1024))
    ran = ctl("import", archive, "copy", "--env-file", file, "--env", "EMPTY=no")
    assert ran.code == 0, ran.err
    assert env_of(served) == WANTED | {"EMPTY": "no"}


def test_exec_takes_variables_from_a_file(served: Served, file: Path) -> None:
    asked: list[requests.Request] = []

    def session(request: requests.Request) -> BytesSession:
        asked.append(request)
        return BytesSession([], exit_code=0)

    served.daemon.make_session = session
    assert ctl("create", "web").code == 0
    ran = ctl("exec", "web", "--env-file", file, "--env", "EMPTY=no", "--", "env", "--env-file")
    assert ran.code == 0, ran.err
    (request,) = asked
    assert isinstance(request, requests.ExecInstance)
    assert request.env == WANTED | {"EMPTY": "no"}
    assert request.command == ("env", "--env-file")


@pytest.mark.parametrize("text", ["TOKEN", "=s3cret", "A=1\ns3cret"])
def test_a_wrong_line_is_told_by_its_number_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f.env"
    path.write_text(text)
    ran = ctl("create", "web", "--env-file", path)
    assert ran.code == 2
    assert f"line {len(text.splitlines())} of {path}" in ran.err
    assert "s3cret" not in ran.err


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    ran = ctl("create", "web", "--env-file", tmp_path / "none")
    assert ran.code == 2
    assert "cannot read" in ran.err
    (tmp_path / "bytes").write_bytes(b"A=\xff")
    assert "not UTF-8" in ctl("create", "web", "--env-file", tmp_path / "bytes").err


def test_help_says_what_it_is_for() -> None:
    for command in ("create", "update", "exec", "import"):
        text = " ".join(ctl(command, "--help").out.split())
        assert "who is on the host sees what --env is given" in text
