"""``swarmd``: run the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from swarmd import __version__
from swarmd.errors import SwarmError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmd.configuration import LoadedConfig
    from swarmd.daemon import Daemon


_DESCRIPTORS = 1 << 16
"""The most that is asked for: enough for ten thousand instances, their probes and clients."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``swarmd``; the exit code: 0 ended, 1 failed, 2 wrong usage or configuration."""
    arguments = _parser().parse_args(argv)
    path = Path(arguments.config) if arguments.config else None
    try:
        loaded = _load(path)
        if arguments.check_config:
            what = loaded.file or "the built-in defaults"
            sys.stdout.write(f"{what}: this configuration works\n")
            return 0
        return _run(loaded, lambda: _load(path))
    except SwarmError as error:
        _complain(error)
        return 2 if error.type == "validation_error" else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="swarmd",
        description="Run VS Code instances. Drive it with swarmctl.",
        epilog="Without --config: $SWARMD_CONFIG, then /etc/swarmd/config.toml for root or"
        " $XDG_CONFIG_HOME/swarmd/config.toml, then built-in defaults.",
    )
    parser.add_argument("--config", metavar="FILE", help="the configuration file")
    parser.add_argument(
        "--check-config", action="store_true", help="check the configuration and end"
    )
    parser.add_argument("--version", action="version", version=f"swarmd {__version__}")
    return parser


def _load(path: Path | None) -> LoadedConfig:
    from swarmd.configuration import check_provider_options, load

    return load(path, os.environ, uid=os.getuid(), check_options=check_provider_options)


def _run(loaded: LoadedConfig, load: Callable[[], LoadedConfig]) -> int:
    from swarmd.daemon import Daemon
    from swarmd.logs import configure
    from swarmd.memory import limit_arenas

    os.umask(0o077)
    limit_arenas()
    _allow_descriptors()
    configure(loaded.config.logging)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # A thread that computes (a sweep over /proc, say) gives way to the socket's loop within
    # half a millisecond instead of five.
    sys.setswitchinterval(0.0005)
    code = asyncio.run(_until_ended(Daemon(loaded, load=load)))
    sys.stderr.flush()
    return code


def _allow_descriptors() -> None:
    """Take what the host allows, up to what thousands of instances and their clients need.

    The soft limit is as low as 1,024 only for programs that use select(2) (getrlimit(2)); the
    end of a local instance is followed by a descriptor of its own.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _until_ended(daemon: Daemon) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.shutdown)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload_on_signal)
    return await daemon.run()


def _complain(error: SwarmError) -> None:
    lines = [f"swarmd: {error.message}"]
    others = error.details.get("problems", ())[1:]
    lines += [f"  also {each.get('field')}: {each.get('message')}" for each in others]
    if error.next_step:
        lines.append(f"  → {error.next_step}")
    sys.stderr.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
