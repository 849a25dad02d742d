"""The end of a command in a container, with all that it started: the API has no call for it.

Another short command, under the same user, looks through the container's ``/proc`` and kills.
What belongs to a command bears its mark in the environment, or shares a session with what does,
or descends from it; what emptied its environment, leads a session of its own and has lost its
parents before cannot be told from the instance's other processes and is left.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any

from swarmd.errors import ProviderError
from swarmd.providers.docker.engine import Engine, NotRunning, NotThere

MARKER = "SWARMD_EXEC"
_TRIES = 3
_AFTER_KILL_SECONDS = 5.0
_PAUSE, _PAUSE_MOST = 0.01, 0.25

# Needs a POSIX shell and nothing else; dash, the shell of busybox and bash do. A grep that reads
# past NUL characters (that of busybox does not) only makes it faster. It looks again until three
# looks in a row found nothing: what forks and ends at once can slip through one.
SCRIPT = r"""
mark=$1 sessions=" "
if printf 'a\000b' 2>/dev/null | grep -qF b 2>/dev/null; then
    marked() { grep -lF -e "$mark" /proc/[0-9]*/environ; }
else
    marked() {
        for file in /proc/[0-9]*/environ; do
            while IFS= read -r text || [ -n "$text" ]; do
                case $text in *"$mark"*) echo "$file"; break ;; esac
            done < "$file"
        done
    }
fi
entry() {
    case $2 in Z|X) ;; *) table="$table $1:$3:$5" ;; esac
}
add() {
    case $1 in 1|$$) return ;; esac
    case $found in *" $1 "*) ;; *) found="$found$1 " grown=1 ;; esac
}
sort_out() {
    case $found in
    *" $1 "*)
        case "$3 $sessions" in "0 "*|"1 "*|*" $3 "*) ;; *) sessions="$sessions$3 " grown=1 ;; esac
        return ;;
    esac
    case $found in *" $2 "*) add "$1" ;; esac
    case $sessions in *" $3 "*) add "$1" ;; esac
}
look() {
    table= found=" " grown=1
    for file in $(marked); do
        file=${file#/proc/}
        bearers="$bearers ${file%/environ} "
    done
    for file in /proc/[0-9]*; do
        read -r text < "$file/stat" || continue
        entry "${file#/proc/}" ${text##*) }
    done
    for each in $table; do
        case $bearers in *" ${each%%:*} "*) add "${each%%:*}" ;; esac
    done
    bearers=
    while [ "$grown" = 1 ]; do
        grown=0
        for each in $table; do
            rest=${each#*:}
            sort_out "${each%%:*}" "${rest%%:*}" "${rest#*:}"
        done
    done
}
exec 2>/dev/null
nothing=0 round=0
while [ "$nothing" -lt 3 ]; do
    look
    if [ "$found" = " " ]; then
        nothing=$((nothing + 1))
        continue
    fi
    nothing=0 round=$((round + 1)) stuck=
    for pid in $found; do
        kill -9 "$pid" || stuck="$stuck $pid"
    done
    if [ "$round" -gt 25 ] || { [ "$round" -gt 3 ] && [ "$stuck " = "$found" ]; }; then
        echo $found
        exit 1
    fi
    [ "$round" -le 20 ] || sleep 1
done
"""


def new_mark() -> str:
    """The value of ``MARKER`` for one command."""
    return secrets.token_hex(8)


class Command:
    """A command that was started in a container, as far as the engine can tell of it.

    Args:
        engine: Where it is.
        container: The container's name or id.
        user: Whom it runs as.
        exec_id: The engine's name of it.
        mark: The value of ``MARKER`` in its environment.
        within: Seconds that a call may take.
    """

    def __init__(
        self, engine: Engine, container: str, user: str, exec_id: str, mark: str, within: float
    ) -> None:
        self._engine = engine
        self._container = container
        self._user = user
        self._id = exec_id
        self._mark = mark
        self._within = within
        self._pause = threading.Event()

    def exit_code(self) -> int | None:
        """Its exit code; None while it runs. Gone with its container: killed by it, 137."""
        return _code(self._state())

    def await_code(self, until: threading.Event, seconds: float | None = None) -> int | None:
        """Wait for its exit code.

        Args:
            until: Once set, or after the seconds, None is returned.
            seconds: At most; None: as long as it takes.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        pause = _PAUSE
        while not until.is_set():
            code = self.exit_code()
            if code is not None or (deadline is not None and time.monotonic() >= deadline):
                return code
            until.wait(pause)
            pause = min(pause * 1.5, _PAUSE_MOST)
        return None

    def settle(self) -> None:
        """Wait until the engine has started it, or could not: at most ``within``."""
        self._settled()

    def was_refused(self) -> bool:
        """Whether it never came to run. Waits until the engine has tried."""
        state = self._settled()
        return not state.get("Pid") and state.get("ExitCode") is not None

    def end(self) -> int | None:
        """End it with everything it started, and return its exit code.

        Raises:
            ProviderError: Something of it still runs, or nobody can tell.
        """
        # The engine may answer before it has started it: then there would be nothing to find yet.
        self._settled()
        cause = "it still runs"
        for _ in range(_TRIES):
            try:
                cause = self._kill()
            except (NotRunning, NotThere):  # all that ran in the container has ended
                return self.exit_code()
            code = self.await_code(self._pause, _AFTER_KILL_SECONDS)
            if code is not None and not cause:
                return code
        raise ProviderError(
            f"a command in {self._container} could not be ended",
            next_step="Stop the instance: that ends whatever runs in it.",
            details={"cause": cause},
        )

    def _kill(self) -> str:
        """Look for its processes and kill them; why some are left, or nothing."""
        command = ("sh", "-c", SCRIPT, "sh", f"{MARKER}={self._mark}")
        code, told = self._engine.run(self._container, command, self._within, User=self._user)
        words = told.decode(errors="replace").strip()
        if code == 0:
            return ""
        pids = words.split()
        if not all(pid.isdecimal() for pid in pids) or not pids:
            return words or f"the shell that should end it exited with {code}"
        # They became another user's (sudo): only the superuser may end them, where there is one.
        harder = ("sh", "-c", 'kill -9 "$@"', "sh", *pids)
        code, told = self._engine.run(self._container, harder, self._within, User="0")
        return told.decode(errors="replace").strip() if code else f"just ended: {words}"

    def _settled(self) -> dict[str, Any]:
        """Its state once it runs or will never run; at most a while."""
        deadline = time.monotonic() + self._within
        pause = _PAUSE
        while True:
            state = self._state()
            begun = state.get("Pid") or _code(state) is not None
            if begun or time.monotonic() >= deadline:
                return state
            self._pause.wait(pause)
            pause = min(pause * 1.5, _PAUSE_MOST)

    def _state(self) -> dict[str, Any]:
        try:
            return self._engine.exec_state(self._id, self._within)
        except NotThere:
            return {"Running": False, "ExitCode": 128 + 9, "Pid": -1}


def _code(state: dict[str, Any]) -> int | None:
    code = state.get("ExitCode")
    return None if state.get("Running") or code is None else int(code)
