"""``make bench``: every figure of speed and memory, each against its limit.

A name picks one: ``python -m tests.benchmarks start``. Ratios are between things measured in
the same run; absolute figures depend on what else the machine does.
"""

from __future__ import annotations

import importlib
import sys
import time

MODULES = (
    "api",
    "load",
    "listing",
    "start",
    "create",
    "cli",
    "probe",
    "tui",
    "recover",
    "crash_loops",
    "history",
    "telemetry",
    "docker_create",
    "docker_sweep",
    "docker_seen",
    "docker_recover",
    "docker_archive",
)


def main() -> int:
    """Measure; 1 if a limit was missed."""
    chosen = sys.argv[1:] or MODULES
    unknown = [name for name in chosen if name not in MODULES]
    if unknown:
        print(f"no benchmark {unknown[0]}; there are {', '.join(MODULES)}", file=sys.stderr)
        return 2
    missed = 0
    for name in chosen:
        begun = time.monotonic()
        for figure in importlib.import_module(f"tests.benchmarks.bench_{name}").figures():
            print(figure, flush=True)
            missed += not figure.reached
        print(f"    ({name}: {time.monotonic() - begun:.0f} s)", flush=True)
    print(f"{missed} missed" if missed else "every limit is kept")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
