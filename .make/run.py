"""From an installed checkout to VS Code in the browser, and back: ``make run``, ``make stop``.

Both are safe to run again: what is there already is kept. Where things lie is swarmd's own
affair (README, Configuration); ``SWARMD_CONFIG``, ``SWARMD_STATE_DIR`` and the like hold here too.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from swarmd.configuration import LoadedConfig, load, resolve_places
from swarmd.errors import ConfigError, SwarmError
from swarmd.messages.config import Config

CHECKOUT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
FIRST = "first"
START_SECONDS = 30.0
STOP_SECONDS = 60.0
UNREACHABLE = 5
NOT_FOUND = 3
SYSTEM_USER = "swarmd-run"
"""The user that instances run as if the daemon is root's and nothing else is configured."""

OF_VS_CODE = re.compile(r"VSCODE_.*|SWARMD_(INSTANCE|EPOCH|NODE|EXEC)|ELECTRON_RUN_AS_NODE")


class CannotRun(Exception):
    """It cannot go on; the message says why and what to do."""


def main() -> int:
    """Do what was asked for, in words for a person."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("what", choices=["start", "stop"])
    options = parser.parse_args()
    try:
        if options.what == "start":
            start()
        else:
            stop()
    except CannotRun as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except SwarmError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.next_step:
            print(f"→ {error.next_step}", file=sys.stderr)
        return 1
    return 0


def start() -> None:
    """Everything between an installed checkout and a first instance."""
    loaded = load(None, os.environ, uid=os.geteuid())
    if not answers(loaded):
        prepare_user(loaded)
        prepare_server(loaded)
        start_daemon(loaded)
    first_instance(loaded)
    tell(loaded)


def stop() -> None:
    """Stop the daemon; instances go on. A mistake in the configuration file is no hindrance."""
    mistake: ConfigError | None = None
    try:
        loaded = load(None, os.environ, uid=os.geteuid())
    except ConfigError as error:
        mistake = error
        places = resolve_places(Config(), os.environ, uid=os.geteuid())
        loaded = LoadedConfig(Config(), places, None)
    found = status(loaded)
    if found is None:
        if mistake is not None:  # the file might have named another socket
            raise mistake
        print("the daemon does not run")
        return
    running = found["instances"]["by_status"].get("running", 0)
    swarmctl(loaded, "shutdown")
    wait_for_end(found["pid"])
    print(f"the daemon has stopped; instances that keep running: {running}")
    if running:
        print("`make run` takes them over again; `swarmctl stop NAME` before `make stop` ends one.")


# --- the parts -------------------------------------------------------------------------------


def prepare_user(loaded: LoadedConfig) -> None:
    """As root: the system user that instances run as, unless another one is configured."""
    local = [entry.options for entry in loaded.config.providers if entry.type == "local"]
    wanted = [options for options in local if options.get("run_as", "") in {"", SYSTEM_USER}]
    if os.geteuid() != 0 or not wanted or has_user(SYSTEM_USER):
        return
    print(f"creating the system user {SYSTEM_USER}, as which instances run")
    shell = next((path for path in ("/bin/bash", "/bin/sh") if Path(path).exists()), "/bin/sh")
    command = ["useradd", "--system", "--user-group", "--create-home", "--shell", shell]
    try:
        subprocess.run([*command, SYSTEM_USER], check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotRun(
            f"the user {SYSTEM_USER} could not be created ({error}). Create it by hand, or set "
            "run_as in the provider's options to a user that exists."
        ) from error


def has_user(name: str) -> bool:
    """Whether this machine knows the user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def prepare_server(loaded: LoadedConfig) -> None:
    """code-server: a configured command, else the one on PATH, else the managed one."""
    commands = [entry.options.get("command") for entry in loaded.config.providers]
    if any(commands) or shutil.which("code-server", path=clean_environment()["PATH"]):
        return
    from swarmd.setup import SetupProgress, find_installed, install_code_server

    def report(progress: SetupProgress) -> None:
        print(f"  [{progress.index}/{progress.total}] {progress.message}", flush=True)

    directory = Path(loaded.places.server)
    if find_installed(directory) is None:
        print(f"installing code-server into {directory}", flush=True)
    install_code_server(directory, on_progress=report)


def start_daemon(loaded: LoadedConfig) -> None:
    """Start swarmd in the background and wait until it answers."""
    state = Path(loaded.places.state)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = state / "swarmd.log"
    print(f"starting the daemon; its log is {log}", flush=True)
    with log.open("ab") as output:
        daemon = subprocess.Popen(
            [BIN / "swarmd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=clean_environment(),
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not answers(loaded):
        if daemon.poll() is not None:
            raise CannotRun(f"the daemon ended at once:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise CannotRun(f"the daemon does not answer after {START_SECONDS:g} s:\n{tail(log)}")
        time.sleep(0.1)


def clean_environment() -> dict[str, str]:
    """Our environment without what a VS Code terminal adds.

    Its PATH has a ``code-server`` that is a remote control and no server, and its variables
    make a server believe that it was called from within another one.
    """
    kept = {name: value for name, value in os.environ.items() if not OF_VS_CODE.fullmatch(name)}
    folders = kept.get("PATH", os.defpath).split(os.pathsep)
    path = [folder for folder in folders if Path(folder).name != "remote-cli"]
    return kept | {"PATH": os.pathsep.join(path)}


def first_instance(loaded: LoadedConfig) -> None:
    """An instance to begin with; one that is stopped is started."""
    found = swarmctl(loaded, "get", FIRST, allowed=(0, NOT_FOUND))
    if not found["success"]:
        print(f"creating the instance {FIRST}", flush=True)
        swarmctl(loaded, "create", FIRST)
    elif found["data"]["status"] != "running":
        print(f"starting the instance {FIRST}", flush=True)
        swarmctl(loaded, "start", FIRST)


def tell(loaded: LoadedConfig) -> None:
    """The URL, and how to go on."""
    ctl = Path(os.path.relpath(BIN / "swarmctl"))
    url = swarmctl(loaded, "get", FIRST)["data"]["url"]
    print(f"""
VS Code runs:   {url}
its password:   {ctl} open {FIRST} --password
one screen:     {ctl} tui  (? lists its keys, q leaves)
all instances:  {ctl} ls
one more:       {ctl} create NAME
what happened:  {ctl} why {FIRST}
everything:     {ctl} --help
stop:           make stop  (instances keep running)
""")


# --- the daemon ------------------------------------------------------------------------------


def swarmctl(
    loaded: LoadedConfig, *arguments: str, allowed: tuple[int, ...] = (0,)
) -> dict[str, Any]:
    """Run one command and return its envelope (README, Command line)."""
    done = subprocess.run(
        [BIN / "swarmctl", "--socket", loaded.places.socket, *arguments, "-o", "json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in allowed:
        raise CannotRun(f"swarmctl {' '.join(arguments)}: {done.stderr.strip()}")
    envelope: dict[str, Any] = json.loads(done.stdout)
    return envelope


def status(loaded: LoadedConfig) -> dict[str, Any] | None:
    """What the daemon says of itself; None if none answers."""
    envelope = swarmctl(loaded, "status", allowed=(0, UNREACHABLE))
    found: dict[str, Any] | None = envelope["data"] if envelope["success"] else None
    return found


def answers(loaded: LoadedConfig) -> bool:
    """Whether a daemon answers on the socket."""
    return status(loaded) is not None


def wait_for_end(pid: int) -> None:
    """Wait until this process, no child of ours, is gone."""
    deadline = time.monotonic() + STOP_SECONDS
    while runs(pid):
        if time.monotonic() > deadline:
            raise CannotRun(f"the daemon (pid {pid}) still runs after {STOP_SECONDS:g} s")
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """Whether there is such a process, zombies not counted."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
