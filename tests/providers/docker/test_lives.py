"""What is noted of containers between two lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from swarmd.providers.docker.lives import Lives

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_end_is_believed_before_the_list_until_the_list_must_know() -> None:
    clock = Time()
    lives = Lives(clock)
    lives.note_start("a", NOW)
    assert not lives.just_ended("a")
    lives.note_end("a", "exit status 1")
    assert lives.just_ended("a")
    assert lives.started("a") is None
    clock.now = 10.0
    assert not lives.just_ended("a"), "an event that was lost must not hide what runs for ever"
    assert lives.ended("a") == "exit status 1"


def test_a_start_ends_the_end() -> None:
    lives = Lives(Time())
    lives.note_end("a", "exit status 1")
    lives.note_start("a", NOW)
    assert (lives.just_ended("a"), lives.ended("a")) == (False, None)


def test_what_was_said_first_stands_and_our_own_words_come_first() -> None:
    lives = Lives(Time())
    lives.expect_end("a", "stopped")
    lives.note_end("a", "ended by SIGTERM")
    lives.note_end("a", "exit status 0")
    assert lives.ended("a") == "stopped"
    lives.note_start("a", NOW)
    lives.note_end("a", "exit status 3")
    assert lives.ended("a") == "exit status 3", "the words were for one end alone"


def test_an_end_that_did_not_come_leaves_no_words() -> None:
    lives = Lives(Time())
    lives.expect_end("a", "stopped")
    lives.note_start("a", NOW)
    lives.note_end("a", "exit status 3")
    assert lives.ended("a") == "exit status 3"


def test_our_note_of_a_start_and_the_engines_are_one() -> None:
    lives = Lives(Time())
    lives.note_start("a", NOW)
    lives.note_start("a", NOW + timedelta(seconds=2))
    assert lives.started("a") == NOW
    lives.note_start("a", NOW + timedelta(seconds=60))
    assert lives.started("a") == NOW + timedelta(seconds=60)


def test_what_is_gone_is_forgotten() -> None:
    lives = Lives(Time())
    lives.note_start("a", NOW)
    lives.note_end("b", "exit status 0")
    lives.expect_end("c", "stopped")
    assert lives.known() == {"a", "b", "c"}
    lives.forget(("a", "b", "c"))
    assert lives.known() == set()
