"""Settings that change while the daemon runs, and what a smaller limit must not take."""

from __future__ import annotations

from pathlib import Path

import msgspec

from swarmd.messages.config import JournalConfig
from swarmd.messages.units import Size
from tests.store.samples import ended, event, opened, reason


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_smaller_settings_take_effect_without_a_restart(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root, operations_kept=100) as store:
        store.write(operations=tuple(ended(f"o{n:02}", n) for n in range(30)))
        store.write(reasons=tuple(("i1", reason(f"r{n}")) for n in range(50)))
        small = JournalConfig(segment_size=Size(4096))
        store.store.configure(journal=small, operations_kept=10, story_length=10, metrics_files=3)
        for seq in range(1, 16):
            store.write(events=(event(seq, filler="x" * 800),))
        store.write(operations=(ended("o99", 99),), reasons=(("i1", reason("last")),))
        assert len(files_in(root / "journal")) > 1
        assert [each.why for each in store.store.story("i1")][-1] == "last"
        assert len(store.store.story("i1")) <= 20
        assert len(files_in(root / "operations")) <= 11


def test_an_operation_with_an_idempotency_key_is_not_swept(tmp_path: Path) -> None:
    root = tmp_path / "state"
    keyed = msgspec.structs.replace(ended("keyed", 0), idempotency_key="k")
    with opened(root, operations_kept=10) as store:
        store.write(operations=(keyed, *(ended(f"o{n:02}", 1 + n) for n in range(40))))
        assert "keyed" in {each.id for each in store.store.reload().operations}
    with opened(root, operations_kept=10) as store:
        assert "keyed" in {each.id for each in store.store.reload().operations}
