"""``swarmctl open``: the URL, how to reach it from here, and the password if asked for."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.instances import NAME
from swarmd.cli.render import Form
from swarmd.cli.text import safe
from swarmd.errors import Conflict, Unavailable
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
    from urllib.parse import urlsplit

    from swarmd.core.addresses import tunnel_hint

    if "://127.0.0.1:" not in url:
        return []
    provider = app.call("provider.get", {"name": instance["provider"]})
    login = (provider.get("capabilities") or {}).get("tunnel")
    if not login:
        return []
    user, _, host = str(login).rpartition("@")
    name = urlsplit(login if "://" in login else f"ssh://{login}").hostname
    return [f"→ It answers on {name} alone. A tunnel:", f"  {tunnel_hint(url, host, user)}"]


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
    from swarmd.core.addresses import tunnel_hint

    if not env.get("SSH_CONNECTION") or "://127.0.0.1:" not in url:
        return []
    host = env["SSH_CONNECTION"].split()[2:3] or [socket.gethostname()]
    user = env.get("USER") or env.get("LOGNAME") or ""
    return ["→ From your own machine:", f"  {tunnel_hint(url, host[0], user)}"]


def start_browser(url: str) -> subprocess.Popen[bytes]:
    """Open it here, if here is a desktop.

    Raises:
        Unavailable: A remote login, no display, or no browser.
    """
    from shutil import which

    chosen = os.environ.get("BROWSER") or "xdg-open"
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    program = which(chosen)
    if os.environ.get("SSH_CONNECTION") or not display or program is None:
        raise Unavailable(
            "there is no desktop with a browser here",
            next_step="Open the URL in the browser of your own machine.",
        )
    return subprocess.Popen(
        [program, url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
