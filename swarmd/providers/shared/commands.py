"""What a command in an instance must keep to on every provider."""

from __future__ import annotations

from swarmd.core.validation import check_env
from swarmd.errors import ProviderError, ValidationError
from swarmd.messages.requests import ExecInstance


def check(options: ExecInstance) -> None:
    """Refuse what no process can be given, and variables that instances may not have.

    Raises:
        ValidationError: With ``field``.
    """
    check_env(options.env, start="")
    for number, word in enumerate(options.command):
        if "\0" in word:
            raise ValidationError(
                "the command contains a NUL character",
                field=f"command[{number}]",
                next_step="Remove it: no argument can hold it.",
            )


def no_folder(message: str) -> ValidationError:
    """The error of a ``workdir`` that a command cannot work in."""
    return ValidationError(
        message, field="workdir", next_step="Name a folder of the workspace, or leave it out."
    )


def input_closed() -> ProviderError:
    """The error of input for a command that reads none, or no more."""
    return ProviderError(
        "the command reads no more input",
        field="data_b64",
        next_step="Ask for stdin when the command is started, and write before its end.",
    )
