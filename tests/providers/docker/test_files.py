"""What is put into a container before its start, and read out again."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from swarmd.messages.instance import InstanceConfig
from swarmd.providers.docker.files import (
    File,
    Kept,
    Made,
    Owner,
    bare,
    encode_made,
    files_in,
    read_kept,
    settings_files,
    tar_of,
)
from tests.providers.local import kit

CONFIG = kit.make_instance("web", env={"A": "b"}).config


def test_settings_are_the_users_and_the_record_is_roots() -> None:
    made = Made(config=CONFIG, applied=CONFIG, installed=("a.b",))
    data = tar_of(settings_files(Owner(1000, 1000), CONFIG.auth, made, [("tls.key", b"k")]))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {one.name: (one.uid, oct(one.mode)) for one in archive}
    assert found == {
        "etc/swarmd": (0, "0o755"),
        "etc/swarmd/config.yaml": (1000, "0o600"),
        "etc/swarmd/instance.json": (0, "0o600"),
        "etc/swarmd/tls.key": (1000, "0o600"),
    }
    kept = read_kept([data[:700], data[700:]])
    assert kept.made == Made(config=bare(CONFIG), applied=bare(CONFIG), installed=("a.b",))
    assert kept.settings is not None
    assert kit.PASSWORD in kept.settings


def test_the_record_holds_no_password() -> None:
    raw = encode_made(Made(config=CONFIG, applied=CONFIG))
    assert kit.PASSWORD.encode() not in raw


@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_what_is_no_archive_is_as_if_it_were_not_there(chunks: list[bytes]) -> None:
    kept = read_kept(chunks)
    assert kept.made is None or isinstance(kept.made.config, InstanceConfig)


@given(st.lists(st.integers(1, 3000), max_size=8), st.binary(max_size=3000))
def test_chunks_may_be_cut_anywhere(cuts: list[int], data: bytes) -> None:
    archive = tar_of([File("/a/b", data, 0o600), File("/a/c", b"x", 0o600)])
    chunks, at = [], 0
    for cut in cuts:
        chunks.append(archive[at : at + cut])
        at += cut
    assert dict(files_in([*chunks, archive[at:]])) == {"b": data, "c": b"x"}


def test_what_a_user_made_large_is_not_read_to_its_end() -> None:
    info = tarfile.TarInfo("swarmd/config.yaml")
    info.size = 1 << 40
    read = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        yield info.tobuf()
        while True:
            read += 1 << 16
            yield bytes(1 << 16)

    assert read_kept(chunks()) == Kept()
    assert read < 16 << 20
