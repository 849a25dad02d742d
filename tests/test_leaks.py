"""The check that nothing is left behind, itself checked: each test here leaves something."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

LEAVING = {
    "actor": """
        import pykka
        class Idle(pykka.ThreadingActor):
            pass
        def test_it():
            Idle.start()
    """,
    "thread": """
        import threading
        ended = threading.Event()
        def test_it():
            threading.Thread(target=ended.wait, args=(8,), name="swarmd-late", daemon=True).start()
    """,
    "process": """
        import subprocess
        kept = []
        def test_it():
            kept.append(subprocess.Popen(["sleep", "300"]))
    """,
    "process of someone else": """
        import subprocess
        def test_it(tmp_path):
            command = f"cd {tmp_path} && setsid sleep 300 >/dev/null 2>&1 &"
            subprocess.run(["sh", "-c", command], check=True)
    """,
}


@pytest.fixture(autouse=True)
def checkout_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))


@pytest.mark.parametrize("what", LEAVING)
def test_what_is_left_behind_fails_its_test(what: str, pytester: pytest.Pytester) -> None:
    conftest = Path(__file__).with_name("conftest.py").read_text()
    pytester.makeconftest(conftest.replace("LEAVING = 5.0", "LEAVING = 0.2"))
    pytester.makepyfile(LEAVING[what])
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"*left behind: *{what.split(maxsplit=1)[0]} *"])


def test_a_tidy_test_passes(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makepyfile("""
        import subprocess
        def test_it(tmp_path):
            subprocess.run(["true"], check=True, cwd=tmp_path)
    """)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
