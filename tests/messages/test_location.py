"""A URL's login is for the daemon alone."""

from __future__ import annotations

import pytest

from swarmd.messages import codec
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.secret import Location


def config(workspace: str) -> InstanceConfig:
    return codec.convert({"name": "a", "workspace": workspace}, InstanceConfig)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://ana:s3cret@host/a.git", "https://host/a.git"),
        ("HTTPS://token@host:8443/a.git", "HTTPS://host:8443/a.git"),
        ("https://host/a@b.git", "https://host/a@b.git"),
        ("ssh://git@host/a.git", "ssh://git@host/a.git"),
        ("git@host:a.git", "git@host:a.git"),
        ("/srv/ana", "/srv/ana"),
    ],
)
def test_only_the_daemons_own_files_have_the_login(written: str, shown: str) -> None:
    made = config(written)
    assert made.workspace == written
    public = codec.decoder(InstanceConfig).decode(codec.encode(made))
    assert public.workspace == shown
    private = codec.decoder(InstanceConfig).decode(codec.encode_private(made))
    assert private.workspace == written
    assert isinstance(private.workspace, Location)
    assert codec.to_plain(made)["workspace"] == shown
    assert codec.to_plain(made, reveal=True)["workspace"] == written
