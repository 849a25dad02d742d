"""What every step is given."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from swarmd.errors import InitializationError
from swarmd.setup.commands import Command, CommandFailed, Runner, child_environment
from swarmd.setup.layout import Layout
from swarmd.setup.manifest import SETUP_COMMAND

DOWNLOAD_SECONDS = 1200.0


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One installation at work.

    Args:
        layout: Where things lie.
        run: Runs a child process; tests put their own here.
        lock: Descriptor of the held lock, for children to inherit.
    """

    layout: Layout
    run: Runner
    lock: int | None = None

    def command(
        self,
        *argv: str | Path,
        cwd: Path | None = None,
        timeout_seconds: float = DOWNLOAD_SECONDS,
        **environment: str,
    ) -> Command:
        """A command that logs into this installation's log and holds its lock."""
        return Command(
            argv=tuple(str(part) for part in argv),
            environment=child_environment(os.environ, **environment),
            log=self.layout.log,
            cwd=cwd or self.layout.work,
            timeout_seconds=timeout_seconds,
            keep_open=self.lock,
        )

    def download(self, command: Command, *, what: str, source: str) -> None:
        """Run a command that needs the network.

        Args:
            command: What to run.
            what: What it fetches, for the message.
            source: Where from, for the message.

        Raises:
            InitializationError: It failed; offline is told from everything else.
        """
        try:
            self.run(command)
        except CommandFailed as failure:
            details = {"cause": failure.tail or str(failure), "log": str(self.layout.log)}
            message, next_step = self._words(failure, what, source)
            raise InitializationError(message, next_step=next_step, details=details) from failure

    def _words(self, failure: CommandFailed, what: str, source: str) -> tuple[str, str]:
        """What went wrong with a download, and what to do about it."""
        place = source[0].upper() + source[1:]
        # First: pip retries what it does not trust, and then says both.
        if failure.untrusted:
            return (
                (
                    f"{place} shows a certificate that this machine does not trust, so {what} "
                    "could not be downloaded."
                ),
                (
                    "If a proxy of your network signs what passes it, name the file with its "
                    "certificate in NODE_EXTRA_CA_CERTS and PIP_CERT (or in npm's and pip's own "
                    f"settings), and run {SETUP_COMMAND} again: it goes on where it stopped."
                ),
            )
        if failure.offline:
            return (
                f"{place} cannot be reached, so {what} could not be downloaded.",
                (
                    "Connect this machine, or set a proxy or mirror in pip's and npm's own "
                    f"settings, and run {SETUP_COMMAND} again: it goes on where it stopped. "
                    f"Or bring a release archive: {SETUP_COMMAND} --archive FILE."
                ),
            )
        return (
            f"Downloading {what} from {source} failed: {failure}.",
            f"Read the end of {self.layout.log}, then run {SETUP_COMMAND} again.",
        )
