"""Names and links of an archive's parts in a home, both ways, and the table of names seen."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.providers.docker.home import HomeLayout, Path, components
from swarmd.providers.docker.seen import Seen
from swarmd.providers.shared.archive import PARTS
from swarmd.providers.shared.tarformat import Kind

LAYOUT = HomeLayout()

_word = st.sampled_from(
    [b"project", b".local", b"share", b"code-server", b"extensions", b"a", b"b", b"project.home"]
)
_below = st.lists(_word, max_size=6).map(tuple)
_archived = st.builds(lambda part, rest: (part.encode(), *rest), st.sampled_from(PARTS), _below)
_target = st.builds(
    lambda ups, rest: b"/".join([b".."] * ups + list(rest)) or b".",
    st.integers(0, 4),
    _below,
)


def path(text: str) -> Path:
    return components(text.encode())


@pytest.mark.parametrize(
    ("home", "archive"),
    [
        ("", "home"),
        (".bashrc", "home/.bashrc"),
        ("project", "workspace"),
        ("project/a/b", "workspace/a/b"),
        ("projects/a", "home/projects/a"),
        (".local/share", "home/.local/share"),
        (".local/share/code-server", "user-data"),
        (".local/share/code-server/User/settings.json", "user-data/User/settings.json"),
        (".local/share/code-server/extensions", "extensions"),
        (".local/share/code-server/extensions/a.b-1", "extensions/a.b-1"),
    ],
)
def test_the_places_of_the_parts(home: str, archive: str) -> None:
    assert LAYOUT.to_archive(path(home)) == path(archive)
    assert LAYOUT.to_home(path(archive)) == path(home)


@pytest.mark.parametrize(
    ("archive", "home"),
    [
        ("home/project/x", "project.home/x"),
        ("home/project", "project.home"),
        ("home/.local/share/code-server/heartbeat", ".local/share/code-server.home/heartbeat"),
        ("user-data/extensions/x", ".local/share/code-server/extensions.user-data/x"),
    ],
)
def test_what_would_lie_in_anothers_place_lies_beside_it(archive: str, home: str) -> None:
    assert LAYOUT.to_home(path(archive)) == path(home)


@given(_below)
def test_out_and_in_again_gives_the_same_name(name: Path) -> None:
    assert LAYOUT.to_home(LAYOUT.to_archive(name)) == name


@given(_archived)
def test_no_part_reaches_into_the_place_of_another(name: Path) -> None:
    again = LAYOUT.to_archive(LAYOUT.to_home(name))
    assert again[0] == name[0]
    assert len(again) == len(name)


@given(_below.filter(bool), _target)
def test_out_and_in_again_a_link_leads_to_the_same(name: Path, target: bytes) -> None:
    there, outside = LAYOUT.link_to_archive(name, target)
    back = there if outside else LAYOUT.link_to_home(LAYOUT.to_archive(name), there)
    folder = posixpath.join("/far/away/in/some/where", *(part.decode() for part in name[:-1]))
    assert resolved(folder, back) == resolved(folder, target)


def resolved(folder: str, target: bytes) -> str:
    return posixpath.normpath(posixpath.join(folder, target.decode()))


@pytest.mark.parametrize(
    ("home", "target", "archive"),
    [
        ("project/l", "a/b", "a/b"),
        ("project/d/l", "../a/./b/", "../a/./b/"),
        ("project/l", "../.bashrc", "../home/.bashrc"),
        ("project/l", "..", "../home"),
        ("project/l", "../project/x", "x"),
        ("l", "project", "../workspace"),
        ("l", "project/x", "../workspace/x"),
        ("l", "project/a/../x", "project/a/../x"),
        (".local/share/code-server/l", "extensions/e", "../extensions/e"),
        (".local/share/code-server/extensions/l", "../User/s", "../user-data/User/s"),
    ],
)
def test_a_link_to_another_part_is_rewritten(home: str, target: str, archive: str) -> None:
    there, outside = LAYOUT.link_to_archive(path(home), target.encode())
    assert (there.decode(), outside) == (archive, False)


@pytest.mark.parametrize("target", ["/usr/bin/env", "/home/coder/x", "../../x", "../../project/x"])
def test_a_link_out_of_the_home_is_marked_and_kept(target: str) -> None:
    assert LAYOUT.link_to_archive(path("project/l"), target.encode()) == (target.encode(), True)


@pytest.mark.parametrize("target", ["..", "../nothing/of/ours", "../../x", "/x", "a/../b"])
def test_a_link_to_nothing_of_an_archive_is_kept(target: str) -> None:
    assert LAYOUT.link_to_home(path("workspace/l"), target.encode()) == target.encode()


@pytest.mark.parametrize(
    "places", [{"project": ""}, {"project": ".local/share/code-server"}, {"data": "../x"}]
)
def test_a_layout_that_is_none_is_refused(places: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="three folders"):
        HomeLayout(**places)


@given(st.lists(st.tuples(st.integers(0, 3000), st.sampled_from([*Kind])), max_size=400))
def test_seen_is_a_table(changes: list[tuple[int, Kind]]) -> None:
    kept = {b"%d" % number: kind for number, kind in changes if kind is not Kind.HARDLINK}
    seen = Seen()
    for number, kind in changes:
        if kind is not Kind.HARDLINK:
            seen.put(b"%d" % number, kind)
    assert len(seen) == len(kept)
    for number in range(3000):
        assert seen.get(b"%d" % number) is kept.get(b"%d" % number)


def test_seen_grows_far() -> None:
    seen = Seen()
    for number in range(20_000):
        seen.put(b"%d" % number, Kind.FILE)
    assert len(seen) == 20_000
    assert all(seen.get(b"%d" % number) is Kind.FILE for number in range(20_000))
    assert seen.get(b"x") is None
