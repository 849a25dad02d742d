"""The installation itself: find out what is left to do, do it, and publish it in one rename."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from swarmd.errors import InitializationError, ResourceLimitError
from swarmd.setup import archive as release
from swarmd.setup import npm, verify
from swarmd.setup.commands import Runner, run_command
from swarmd.setup.context import Context
from swarmd.setup.layout import Layout, remove_tree, replace_durably, write_durably
from swarmd.setup.lock import installation_lock
from swarmd.setup.manifest import SETUP_COMMAND, InstalledServer, Manifest, read_manifest
from swarmd.setup.plan import (
    ARCHIVE_STEPS,
    NPM_STEPS,
    SetupProgress,
    Step,
    megabytes_needed,
    remaining,
)
from swarmd.setup.versions import archive_fingerprint, npm_fingerprint

LOCK_WAIT_SECONDS = 1800.0

Probe = Callable[[Context, Path, Path], None]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One way of installing.

    Args:
        source: ``npm`` or ``archive``.
        fingerprint: Names everything that goes in.
        steps: The steps, in order.
        actions: Step name to what it does.
        node: The node binary, relative to the tree.
        root: code-server's root, relative to the tree.
    """

    source: str
    fingerprint: str
    steps: tuple[Step, ...]
    actions: Mapping[str, Callable[[Context], None]]
    node: Path
    root: Path


def install_code_server(
    server_dir: Path,
    *,
    on_progress: Callable[[SetupProgress], None],
    archive: str | None = None,
    sha256: str | None = None,
    force: bool = False,
) -> InstalledServer:
    """Install code-server with a node of its own into ``server_dir``, or go on doing so.

    What is installed already is returned at once. Interrupted at any point, even by kill -9, it
    goes on with the first step that was not finished. A second installation waits for the first.

    Args:
        server_dir: The SERVER directory; made if missing, readable by everyone.
        on_progress: Called as each step begins, and at the end.
        archive: A release archive instead of the registries: a file, or an https address.
        sha256: Its digest; must be given with an address.
        force: Install anew even if it is installed.

    Raises:
        ValidationError: ``archive`` or ``sha256`` cannot be used.
        InitializationError: The network, the machine or the package is at fault; says which.
        ResourceLimitError: The disk has too little room.
    """
    return install(
        server_dir,
        choose_recipe(archive, sha256),
        on_progress=on_progress,
        run=run_command,
        probes=(verify.check_parts, verify.start_once),
        force=force,
    )


def choose_recipe(archive: str | None, sha256: str | None) -> Recipe:
    """The way of installing that was asked for.

    Raises:
        ValidationError: ``archive`` or ``sha256`` cannot be used.
    """
    if archive is not None:
        release.check_request(archive, sha256)
        digest = release.digest_of(archive, sha256)
        return Recipe(
            source="archive",
            fingerprint=archive_fingerprint(digest),
            steps=ARCHIVE_STEPS,
            actions={
                "fetch": lambda context: release.fetch(context, archive, digest),
                "unpack": release.unpack,
                "complete": release.complete,
            },
            node=release.NODE_BINARY,
            root=release.ROOT,
        )
    return Recipe(
        source="npm",
        fingerprint=npm_fingerprint(),
        steps=NPM_STEPS,
        actions={
            "node": npm.install_node,
            "code-server": npm.install_code_server,
            "vscode": npm.install_vscode,
            "extensions": npm.install_extensions,
            "complete": npm.complete,
        },
        node=npm.NODE_BINARY,
        root=npm.ROOT,
    )


def install(
    server_dir: Path,
    recipe: Recipe,
    *,
    on_progress: Callable[[SetupProgress], None],
    run: Runner,
    probes: tuple[Probe, ...],
    force: bool = False,
) -> InstalledServer:
    """Carry out a recipe. ``run`` and ``probes`` are arguments so that tests can give their own."""
    if not force and (found := _as_wanted(server_dir, recipe)):
        return found
    layout = Layout(server_dir.absolute())
    layout.create()
    report = _Reporter(recipe.steps, on_progress)
    waiting = "waiting for another installation to end"
    with installation_lock(
        layout.lock, wait_seconds=LOCK_WAIT_SECONDS, on_wait=lambda: report("wait", waiting)
    ) as lock:
        # the other one may have finished what we were asked for
        if not force and (found := _as_wanted(server_dir, recipe)):
            return found
        if force:
            layout.discard_work()
        context = Context(layout=layout, run=run, lock=lock)
        _run_steps(context, recipe, probes, report)
        _publish(layout)
    found = _as_wanted(server_dir, recipe)
    if found is None:
        raise InitializationError(
            f"The installation in {server_dir} was changed while it was being made.",
            next_step=f"Run {SETUP_COMMAND} --force.",
        )
    report(recipe.steps[-1].name, f"code-server {found.version} is ready")
    return found


class _Reporter:
    """Turns a step's name into a progress report."""

    def __init__(
        self, steps: tuple[Step, ...], on_progress: Callable[[SetupProgress], None]
    ) -> None:
        self._numbers = {step.name: number for number, step in enumerate(steps, 1)}
        self._on_progress = on_progress
        self._begin = time.monotonic()

    def __call__(self, step: str, message: str) -> None:
        self._on_progress(
            SetupProgress(
                step=step,
                index=self._numbers.get(step, 0),
                total=len(self._numbers),
                message=message,
                seconds=time.monotonic() - self._begin,
            )
        )


def _as_wanted(server_dir: Path, recipe: Recipe) -> InstalledServer | None:
    """What is installed, if the recipe would not install anything else.

    Somebody who installed an archive keeps it until another archive is named or force is used.
    """
    manifest = read_manifest(server_dir)
    if manifest is None:
        return None
    kept = manifest.source == "archive" and recipe.source == "npm"
    if manifest.fingerprint == recipe.fingerprint or kept:
        return manifest.installed(server_dir)
    return None


def _run_steps(
    context: Context, recipe: Recipe, probes: tuple[Probe, ...], report: _Reporter
) -> None:
    layout = context.layout
    todo = remaining(recipe.steps, layout.read_stamps(), recipe.fingerprint)
    if todo == recipe.steps:
        layout.discard_work()
    if todo and recipe.source == "npm":
        npm.check_platform()
        npm.check_pip()
    _check_room(layout.server_dir, todo)
    layout.work.mkdir(exist_ok=True)
    for step in todo:
        report(step.name, step.message)
        if step.name == "verify":
            for probe in probes:
                probe(context, layout.tree / recipe.node, layout.tree / recipe.root)
        elif step.name == "seal":
            _seal(layout, recipe)
        else:
            recipe.actions[step.name](context)
        layout.stamp(step.name, recipe.fingerprint)


def _check_room(directory: Path, todo: tuple[Step, ...]) -> None:
    needed = megabytes_needed(todo)
    free = shutil.disk_usage(directory).free // 1_000_000
    if free < needed:
        raise ResourceLimitError(
            f"{directory} has {free} MB free, and installing code-server takes {needed} MB.",
            next_step=f"Make room there, then run {SETUP_COMMAND} again.",
            details={"free_megabytes": free, "needed_megabytes": needed},
        )


class _PackageFile(msgspec.Struct):
    version: str


def _seal(layout: Layout, recipe: Recipe) -> None:
    """Write the manifest, still below the work in progress, and everything else to the disk."""
    package = (layout.tree / recipe.root / "package.json").read_bytes()
    version = msgspec.json.decode(package, type=_PackageFile).version
    tree = layout.published(Path(version).name).relative_to(layout.server_dir)
    manifest = Manifest(
        version=version,
        command=(str(tree / recipe.node), str(tree / recipe.root / "out/node/entry.js")),
        installed_at=datetime.now(UTC),
        source=recipe.source,
        fingerprint=recipe.fingerprint,
    )
    os.sync()
    write_durably(layout.sealed, msgspec.json.format(msgspec.json.encode(manifest)))


def _publish(layout: Layout) -> None:
    """Move the tree to its place, then the manifest, then clear up.

    Every point of interruption is taken up again: with the tree moved and the manifest not, the
    next run finds all steps done and no tree, and moves the manifest.
    """
    manifest = msgspec.json.decode(layout.sealed.read_bytes(), type=Manifest)
    if layout.tree.exists():
        target = layout.published(Path(manifest.version).name)
        replaced = layout.work / "replaced"
        remove_tree(replaced)
        if target.exists():
            target.rename(replaced)
        replace_durably(layout.tree, target)
    replace_durably(layout.sealed, layout.manifest)
    layout.discard_work()
