"""Plays the scenario in one forked process per step, and lets each die at its step.

``python -m tests.store.crash_child FOLDER``: the state of step N is then in FOLDER/N, one
byte per acknowledged batch in FOLDER/N.answers. It ends when a process came to its end.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.store import samples, scenario
from tests.store.crash import EXIT, CrashingFiles

TORN = b'{"seq":7,"journal":"jour'


def run(folder: Path, number: int) -> None:
    """One life: write the series, stop; then a second start on what a crash would leave."""
    root = folder / str(number)
    answers = os.open(folder / f"{number}.answers", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    files = CrashingFiles(number)
    store = scenario.make(root, files)
    store.open()
    scenario.play(store, lambda: os.write(answers, b"a"))
    samples.close(store)
    last = max((root / "journal").iterdir())
    with last.open("ab") as file:
        file.write(TORN)
    (root / "instances" / "i9.json.tmp").write_bytes(b"{")
    (root / "instances" / "broken.json").write_bytes(b"{")
    store = scenario.make(root, files)
    store.open()
    samples.close(store)


def main() -> None:
    folder, number = Path(sys.argv[1]), 0
    while True:
        number += 1
        child = os.fork()
        if child == 0:
            try:
                run(folder, number)
            except BaseException as error:
                os.write(2, f"step {number}: {error!r}\n".encode())
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != EXIT:
            sys.stdout.write(f"{number} {code}\n")
            return


if __name__ == "__main__":
    main()
