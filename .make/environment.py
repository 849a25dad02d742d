"""Create the virtual environment of this checkout and install swarmd into it.

Needs nothing but a Python of 3.11 or later: where the system's Python lacks ensurepip or pip
(a bare Debian), pip is brought into the environment by whatever the machine has: Debian's package
of pip's wheel, unpacked but not installed, or the package index that pip is configured to use.
Nothing is installed outside the environment.
"""

import argparse
import configparser
import hashlib
import html.parser
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DEBIAN_WHEELS = "python3-pip-whl"


class CannotInstall(Exception):
    """The environment cannot be made; the message says why and what to do."""


def main() -> int:
    """Make the environment, install swarmd with the extras that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="the environment's folder")
    parser.add_argument("--extra", default="", help="an extra of pyproject.toml, such as test")
    options = parser.parse_args()
    try:
        require_version()
        python = make_environment(CHECKOUT / options.folder)
        install(python, options.extra)
    except CannotInstall as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def require_version() -> None:
    """Raise ``CannotInstall`` if this Python is too old."""
    if sys.version_info < (3, 11):  # noqa: UP036  # run by whatever python3 is
        found = ".".join(map(str, sys.version_info[:3]))
        raise CannotInstall(f"swarmd needs Python 3.11 or later; {sys.executable} is {found}")


def make_environment(folder: Path) -> Path:
    """The environment's Python, with a working pip; what is there already is kept."""
    python = inside(folder)
    if has_pip(python):
        return python
    say(f"creating {folder.name}")
    failures = []
    for name, attempt in ATTEMPTS.items():
        try:
            attempt(folder)
        except (CannotInstall, OSError, subprocess.CalledProcessError) as error:
            failures.append(f"with {name}: {reason(error)}")
        if has_pip(python):
            return python
    tried = "\n  ".join(failures)
    raise CannotInstall(
        f"no environment with pip could be made with {sys.executable}:\n  {tried}\n"
        "Install your system's venv package (Debian: apt install python3-venv) and try again."
    )


def has_pip(python: Path) -> bool:
    """Whether this interpreter exists, runs and has pip."""
    return python.exists() and succeeds([python, "-m", "pip", "--version"])


def by_venv(folder: Path) -> None:
    """Make it with venv and ensurepip."""
    if not succeeds([sys.executable, "-c", "import ensurepip, venv"]):
        raise CannotInstall("this Python lacks them")
    run([sys.executable, "-m", "venv", "--clear", folder])


def by_virtualenv(folder: Path) -> None:
    """Make it with virtualenv."""
    if not succeeds([sys.executable, "-m", "virtualenv", "--version"]):
        raise CannotInstall("it is not installed")
    run([sys.executable, "-m", "virtualenv", "--clear", folder])


def by_foreign_pip(folder: Path) -> None:
    """Make it with the system's pip."""
    if not succeeds([sys.executable, "-m", "pip", "--version"]):
        raise CannotInstall("it is not installed")
    bare_environment(folder)
    run([sys.executable, "-m", "pip", "-q", "--python", inside(folder), "install", "pip"])


def by_debian_wheel(folder: Path) -> None:
    """Make it with the wheel of pip that Debian packages; apt needs no root to download it."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        download: list[str | Path] = ["apt-get", "download", "-qq", DEBIAN_WHEELS]
        if not succeeds(download, place):
            if os.getuid() != 0 or not succeeds(["apt-get", "update", "-qq"], place):
                raise CannotInstall("apt-get has no list of packages, or there is none")
            run(download, place)
        package = next(place.glob("*.deb"), None)
        if package is None:
            raise CannotInstall(f"apt-get brought no {DEBIAN_WHEELS}")
        run(["dpkg-deb", "-x", package, place / "unpacked"])
        wheel = next((place / "unpacked").rglob("pip-*.whl"), None)
        if wheel is None:
            raise CannotInstall(f"{DEBIAN_WHEELS} has no wheel of pip")
        install_pip(folder, wheel)


def by_fetched_pip(folder: Path) -> None:
    """Make it with pip fetched from the package index."""
    with tempfile.TemporaryDirectory() as temporary:
        install_pip(folder, fetch_pip(Path(temporary)))


def install_pip(folder: Path, wheel: Path) -> None:
    """An environment with the pip of this wheel: a zip that Python can import from."""
    bare_environment(folder)
    run([inside(folder), wheel / "pip", "-q", "install", "--no-index", wheel])


ATTEMPTS = {
    "venv and ensurepip": by_venv,
    "virtualenv": by_virtualenv,
    "the system's pip": by_foreign_pip,
    "Debian's wheel of pip": by_debian_wheel,
    "pip fetched from the package index": by_fetched_pip,
}


def inside(folder: Path) -> Path:
    """The environment's own Python."""
    return folder / "bin" / "python"


def bare_environment(folder: Path) -> None:
    """An environment without pip; needs the standard library's venv, as Debian has it."""
    run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder])


def fetch_pip(folder: Path) -> Path:
    """The newest released wheel of pip from the configured index, its hash checked."""
    page = f"{configured_index().rstrip('/')}/pip/"
    links = Links(page)
    try:
        with urllib.request.urlopen(page, timeout=30) as reply:
            links.feed(reply.read().decode())
        url = max(links.found, key=wheel_version, default=None)
        if url is None:
            raise CannotInstall(f"{page} lists no wheel of pip")
        with urllib.request.urlopen(url, timeout=60) as reply:
            content = reply.read()
    except (urllib.error.URLError, ValueError) as error:
        raise CannotInstall(f"{page}: {error}") from error
    address, _, digest = url.partition("#sha256=")
    if digest and hashlib.sha256(content).hexdigest() != digest:
        raise CannotInstall(f"{address} does not have the hash that the index promises")
    wheel = folder / Path(urllib.parse.urlsplit(address).path).name
    wheel.write_bytes(content)
    return wheel


class Links(html.parser.HTMLParser):
    """The wheels of released versions on one page of a package index."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: "list[tuple[str, str | None]]") -> None:
        """Keep ``href`` of links to wheels that anyone may install."""
        facts = dict(attrs)
        url = urllib.parse.urljoin(self.page, facts.get("href") or "")
        if tag == "a" and "data-yanked" not in facts and wheel_version(url):
            self.found.append(url)


def wheel_version(url: str) -> "tuple[int, ...]":
    """``(24, 1)`` for ``…/pip-24.1-py3-none-any.whl``; empty for anything else."""
    name = Path(urllib.parse.urlsplit(url).path).name
    parts = name.split("-")
    if len(parts) != 5 or parts[0] != "pip" or not name.endswith("-none-any.whl"):
        return ()
    numbers = parts[1].split(".")
    return tuple(map(int, numbers)) if all(number.isdigit() for number in numbers) else ()


def configured_index() -> str:
    """The index that pip would ask: environment, then its files.

    Raises:
        CannotInstall: None is configured.
    """
    named = os.environ.get("PIP_INDEX_URL")
    if named:
        return named
    home = Path.home()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", config_home / "pip" / "pip.conf"]
    settings = configparser.RawConfigParser()
    settings.read(files)
    index = settings.get("global", "index-url", fallback="")
    if not index:
        raise CannotInstall("no index is configured (PIP_INDEX_URL, pip.conf)")
    return index


def install(python: Path, extra: str) -> None:
    """Install swarmd, editable, with what it needs."""
    say("installing swarmd" + (f" with what {extra} needs" if extra else ""))
    target = f"{CHECKOUT}[{extra}]" if extra else str(CHECKOUT)
    try:
        run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-e", target])
    except subprocess.CalledProcessError as error:
        raise CannotInstall(
            f"pip could not install swarmd ({reason(error)}). "
            "Is the package index reachable? The lines above have pip's own words."
        ) from error


def run(command: "list[str | Path]", folder: "Path | None" = None) -> None:
    """Run a command, its output shown; raises ``CalledProcessError`` if it fails."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, cwd=folder)


def succeeds(command: "list[str | Path]", folder: "Path | None" = None) -> bool:
    """Whether a quiet command can be run and exits 0."""
    try:
        ended = subprocess.run(command, capture_output=True, check=False, cwd=folder)
        return ended.returncode == 0
    except OSError:
        return False


def reason(error: Exception) -> str:
    """What an attempt ended with, in few words."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"exit status {error.returncode}"
    return str(error)


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
