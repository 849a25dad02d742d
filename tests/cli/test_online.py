"""Every command over a real socket."""

from pathlib import Path

import pytest

from swarmd.messages.instance import Failure, Instance
from tests.cli.driver import ME, ctl, names
from tests.cli.server import Served

# --- ls, get ---------------------------------------------------------------------------------


def test_ls_as_a_table(served: Served, web: Instance) -> None:
    served.on_loop(served.daemon.add, "db", owner=ME)
    ran = ctl("ls")
    assert ran.code == 0
    header, first, second = ran.out.splitlines()
    assert header.split() == ["NAME", "STATUS", "HEALTH", "PROVIDER", "AGE", "URL"]
    assert first.split()[:4] == [f"{ME}/db", "running", "unknown", "local"]
    assert second.split()[0] == f"{ME}/web"
    assert second.endswith("http://127.0.0.1:8100/")
    assert not ran.err


def test_ls_filters_and_formats(served: Served, web: Instance) -> None:
    served.on_loop(served.daemon.add, "db", owner=ME)
    assert names(ctl("ls", "w*", "-o", "name")) == [f"{ME}/web"]
    assert names(ctl("ls", "-o", "name", "--status", "running")) == [f"{ME}/db", f"{ME}/web"]
    assert "LABELS" in ctl("ls", "-o", "wide").out
    data = ctl("-o", "json", "ls", "--limit", "1").data
    assert data["total"] == 2
    assert len(data["items"]) == 1


def test_ls_reads_every_page(served: Served) -> None:
    for number in range(450):
        served.on_loop(served.daemon.add, f"n{number:03}", owner=ME)
    assert len(names(ctl("ls", "-o", "name"))) == 450


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "No instances yet. Make one: swarmctl create NAME"),
        (["x*"], "No instance fits."),
        (["--trash"], "The trash is empty."),
    ],
)
def test_an_empty_list_gives_a_hint(served: Served, words: list[str], told: str) -> None:
    ran = ctl("ls", *words)
    assert (ran.code, ran.out) == (0, "")
    assert told in ran.err
    assert ctl("-q", "ls", *words).err == ""


@pytest.mark.parametrize("columns", [30, 40, 60, 80])
def test_lines_fit_the_terminal(served: Served, columns: int) -> None:
    served.on_loop(served.daemon.add, "a-very-long-name-of-an-instance-" * 2, owner=ME)
    ran = ctl("ls", env={"COLUMNS": str(columns)})
    assert max(map(len, ran.out.splitlines())) <= columns
    wide = ctl("ls", "-o", "wide", env={"COLUMNS": str(columns)})
    assert "a-very-long-name-of-an-instance-" * 2 in wide.out


def test_get_shows_everything(served: Served, web: Instance) -> None:
    ran = ctl("get", "web")
    assert "status: running\n" in ran.out
    assert "config.name: web\n" in ran.out
    assert ctl("get", "web", "-o", "json").data["id"] == web.id
    assert ctl("get", web.id, "-o", "name").out == f"{ME}/web\n"


def test_what_does_not_exist(served: Served) -> None:
    ran = ctl("get", "nobody")
    assert ran.code == 3
    assert ran.err.startswith("error: ")
    assert "→ " in ran.err
    assert not ran.out
    envelope = ctl("get", "nobody", "-o", "json")
    assert envelope.code == 3
    assert envelope.json["success"] is False
    assert envelope.json["error"]["type"] == "instance_not_found"
    assert envelope.json["data"] is None


# --- create ----------------------------------------------------------------------------------


def test_create_from_flags(served: Served) -> None:
    ran = ctl("create", "web", "--memory", "2g", "--label", "team=red")
    assert (ran.code, ran.out) == (0, f"{ME}/web  running\n")
    assert "swarmctl open web --password" in ran.err
    config = ctl("get", "web", "-o", "json").data["config"]
    assert config["resources"]["memory"] == "2g"
    assert config["labels"] == {"team": "red"}


def test_create_many_from_standard_input(served: Served) -> None:
    text = '[[instances]]\nname = "a"\n[[instances]]\nname = "b"\nprotect = true\n'
    ran = ctl("create", "-f", "-", "--label", "x=1", stdin=text)
    assert ran.code == 0, ran.err
    assert sorted(names(ran)) == [f"{ME}/a", f"{ME}/b"]
    assert ran.err == "2 created\n"
    assert ctl("get", "b", "-o", "json").data["config"]["labels"] == {"x": "1"}


def test_create_forty(served: Served) -> None:
    ran = ctl("create", "hw-{n}", "--count", "40")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 40
    assert ran.err == "40 created\n"
    assert "hw-40" in {instance.name for instance in served.daemon.by_id.values()}


def test_what_fails_is_told_and_the_rest_is_made(served: Served) -> None:
    served.on_loop(served.daemon.add, "n-2", owner=ME)
    ran = ctl("create", "n", "--count", "3")
    assert ran.code == 1
    assert sorted(names(ran)) == [f"{ME}/n-1", f"{ME}/n-3"]
    assert "error: n-2: " in ran.err
    assert ran.err.endswith("2 created, 1 failed\n")
    envelope = ctl("create", "n", "--count", "2", "-o", "json")
    assert envelope.code == 2
    assert [one["success"] for one in envelope.json["data"]] == [False, False]


def test_a_file_with_one_wrong_key_creates_nothing(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    file.write_text('[{"name": "a"}, {"name": "b", "memroy": "2g"}]')
    ran = ctl("create", "-f", file)
    assert ran.code == 2
    assert "config.memroy: unknown key" in ran.err
    assert not served.daemon.by_id


def test_create_without_waiting_answers_with_the_operation(served: Served) -> None:
    served.on_loop(served.daemon.hold)
    ran = ctl("create", "web", "--no-wait")
    assert ran.code == 0
    operation, kind, target, state = ran.out.split()
    assert (kind, target, state) == ("create", f"{ME}/web", "running")
    served.on_loop(served.daemon.let_go)
    assert ctl("ops", "wait", operation).code == 0


def test_the_daemon_checks_what_is_sent(served: Served) -> None:
    ran = ctl("call", "instance.create", '{"config": {"name": "a", "memroy": 1}}')
    assert ran.code == 2
    assert "memroy" in ran.err


def test_a_failure_of_an_operation(served: Served, web: Instance) -> None:
    served.daemon.fail_next = Failure(
        type="provider_error",
        message="code-server exited at once",
        details={"cause": "exit 1", "next_step": "Look at swarmctl logs web."},
    )
    ran = ctl("restart", "web")
    assert ran.code == 1
    assert ran.err == (
        "error: code-server exited at once\n  cause: exit 1\n→ Look at swarmctl logs web.\n"
    )


def test_the_wait_may_end_before_the_operation(served: Served, web: Instance) -> None:
    served.on_loop(served.daemon.hold)
    ran = ctl("--timeout", "0.05", "stop", "web")
    assert ran.code == 1
    assert "ran out" in ran.err
    operation = ctl("ops", "-o", "json").data["items"][0]["id"]
    assert ctl("ops", "wait", operation, "--timeout", "0.05").code == 1
    served.on_loop(served.daemon.let_go)
    ctl("ops", "wait", operation)


# --- verbs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "status"), [("start", "running"), ("stop", "stopped"), ("restart", "running")]
)
def test_a_verb_on_one(served: Served, web: Instance, verb: str, status: str) -> None:
    ran = ctl(verb, "web")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.split()[:2] == [f"{ME}/web", status]
    assert ctl(verb, "web", "-o", "json").data["status"] == status


def test_a_verb_on_several_names(served: Served, web: Instance) -> None:
    served.on_loop(served.daemon.add, "db", owner=ME)
    ran = ctl("stop", "web", "nobody", "db", "web")
    assert ran.code == 1
    assert sorted(names(ran)) == [f"{ME}/db", f"{ME}/web"]
    assert "error: nobody: " in ran.err
    assert ran.err.endswith("2 stopped, 1 failed\n")


def test_a_verb_on_a_label_and_on_all(served: Served) -> None:
    for name, team in (("a", "red"), ("b", "red"), ("c", "blue")):
        ctl("create", name, "--label", f"team={team}")
    assert sorted(names(ctl("stop", "--label", "team=red"))) == [f"{ME}/a", f"{ME}/b"]
    assert len(names(ctl("stop", "--all"))) == 3
    nothing = ctl("stop", "-l", "team=green")
    assert (nothing.code, nothing.out) == (0, "")
    assert "No instance fits" in nothing.err


def test_rm_says_how_to_undo(served: Served, web: Instance) -> None:
    ran = ctl("rm", "web")
    assert ran.code == 0
    assert "Undo: swarmctl undelete web" in ran.err
    undone = ctl("undelete", "web")
    assert undone.out.split()[:2] == [f"{ME}/web", "stopped"]


def test_rm_force_from_a_script_does_not_ask(served: Served, web: Instance) -> None:
    ran = ctl("rm", "--force", "web")
    assert ran.code == 0
    assert "Undo" not in ran.err


def test_what_is_deleted_waits_for_no_restart(served: Served) -> None:
    served.on_loop(served.daemon.add, "web", owner=ME, restart_required=("env",))
    assert "restart" not in ctl("rm", "--force", "web").err


def test_update_sends_a_merge_patch(served: Served, web: Instance) -> None:
    ran = ctl("update", "web", "--protect", "--label", "a=b", "--if-revision", "1")
    assert ran.code == 0, ran.err
    config = ctl("get", "web", "-o", "json").data["config"]
    assert (config["protect"], config["labels"]) == (True, {"a": "b"})
    assert ctl("update", "--selector", "a=b", "--no-protect", "--unset", "region").code == 0
    assert ctl("get", "web", "-o", "json").data["config"]["protect"] is False
