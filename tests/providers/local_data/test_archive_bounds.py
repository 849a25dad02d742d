"""Archives that would fill the memory, and are refused before they do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from swarmd.providers.local.data import archive
from swarmd.providers.local.data.layout import Layout
from swarmd.providers.shared.account import own
from swarmd.providers.shared.tarformat import END, _extended
from tests.providers.local_data.archives import Limits, a_call, file, folder, pack, refuse


def test_global_records_are_bounded(layout: Layout) -> None:
    def chunks() -> Iterator[bytes]:
        for number in range(300):
            yield _extended(b"g", {b"k%d" % number: b"a" * 900_000})
            if number > 3:
                pytest.fail("it went on reading")
        yield END

    assert "global headers" in str(refuse(layout, chunks()))


def test_the_number_of_global_records_is_bounded(layout: Layout) -> None:
    many = {b"k%d" % number: b"a" for number in range(300)}
    assert "global headers" in str(refuse(layout, [_extended(b"g", many), END]))


def test_extended_headers_of_one_member_are_bounded(layout: Layout) -> None:
    headers = b"".join(_extended(b"x", {b"k%d" % n: b"a"}) for n in range(20))
    assert "extended headers" in str(refuse(layout, [headers + pack(file("workspace/a"))]))


def test_the_names_of_folders_are_bounded(layout: Layout) -> None:
    members = [folder(f"workspace/{'d' * 200}{number}") for number in range(50)]
    limits = Limits(folder_names=5000)
    assert "names of over 5000 bytes" in str(refuse(layout, [pack(*members)], limits))
    again = [folder("workspace/d")] * 3000  # the same one again takes no more
    archive.unpack([pack(*again)], layout.instance("01two"), own(), a_call(), limits)
