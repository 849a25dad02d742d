"""``swarmctl open``: the URL, how to reach it from here, and the password if asked for."""

from __future__ import annotations

import os
import socket
from typing import Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.instances import NAME
from swarmd.cli.render import Form
from swarmd.cli.text import safe
from swarmd.client.browser import start_browser
from swarmd.errors import Conflict
from swarmd.messages.requests import GetInstance


@command(
    Form(GetInstance, arguments=NAME),
    extra=[
        click.Option(["--password"], is_flag=True, help="Print the password as well."),
        click.Option(["--browser"], is_flag=True, help="Open it in this desktop's browser."),
    ],
    examples="swarmctl open web --password",
    own_help=True,
)
def open_instance(app: App, params: dict[str, Any], *, password: bool, browser: bool) -> None:
    """Print the URL of an instance, and its password if asked for.

    On a remote login the ssh command that makes the URL work on your own machine follows on
    stderr.
    """
    method = "instance.credentials" if password else "instance.get"
    found = app.call(method, params)
    url = found.get("url")
    if not url:
        raise Conflict(
            f"{params['id']} has no URL: it does not run",
            field="id",
            next_step=f"Start it: swarmctl start {params['id']}",
        )
    app.output.noun(found, lambda data: _show(app, data))
    instance = found if "status" in found else app.call("instance.get", {"id": params["id"]})
    if instance["status"] != "running":
        app.output.note(
            f"→ It is {instance['status']}: nothing answers there. swarmctl start {params['id']}"
        )
    app.output.note_all(tunnel(app, instance, url) or remote_hint(url, os.environ))
    if browser:
        start_browser(url)


def tunnel(app: App, instance: dict[str, Any], url: str) -> list[str]:
    """How to reach the loopback of another host, where a provider published the instance."""
    from swarmd.core.addresses import provider_tunnel

    if "://127.0.0.1:" not in url:
        return []
    provider = app.call("provider.get", {"name": instance["provider"]})
    capabilities = provider.get("capabilities") or {}
    found = provider_tunnel(url, capabilities.get("tunnel"))
    if found is None:
        return []
    return [f"→ It answers on {found.host} alone. A tunnel:", f"  {found.command}"]


def _show(app: App, found: dict[str, Any]) -> None:
    app.output.line(safe(found["url"]))
    if found.get("password"):
        app.output.line(safe(found["password"]))
    elif "password" in found:
        app.output.note("It has no password, or only its hash is known.")


def remote_hint(url: str, env: Any) -> list[str]:
    """How to reach a loopback URL from the machine that one has logged in from.

    Args:
        url: The instance's URL.
        env: The environment; ``SSH_CONNECTION`` tells that this is a remote login.
    """
    from swarmd.core.addresses import login_tunnel

    found = login_tunnel(url, env, socket.gethostname())
    return [] if found is None else ["→ From your own machine:", f"  {found}"]
