"""What makes calls cheaper is used as chosen, and left off with one line where livekit is another."""

from __future__ import annotations

import logging

import pytest

from openrtc.config import SPEEDUPS
from openrtc.worker.speed import speedups
from openrtc.worker.speed.digest import changed, digest_of
from openrtc.worker.speed.speedups import _Speedup, use_speedups


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def noting(name: str, reason: str | None) -> _Speedup:
        return _Speedup(lambda: reason, lambda: names.append(name))

    table = {name: noting(name, "VADStream" if name == "vad" else None) for name in speedups._SPEEDUPS}
    monkeypatch.setattr(speedups, "_SPEEDUPS", table)
    return names


def test_all_but_those_that_come_before_livekit_are_here() -> None:
    assert {*speedups._SPEEDUPS, "uvloop", "imports"} == set(SPEEDUPS)


def test_one_that_does_not_fit_is_left_off_with_one_line(used: list[str], caplog: pytest.LogCaptureFixture) -> None:
    use_speedups(SPEEDUPS)
    assert used == [name for name in speedups._SPEEDUPS if name != "vad"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "speedup 'vad' is off" in caplog.text and "VADStream" in caplog.text


def test_what_is_not_chosen_is_not_used_and_not_told(used: list[str], caplog: pytest.LogCaptureFixture) -> None:
    use_speedups(("events",))
    assert used == ["events"] and not caplog.records


def one(a: int) -> int:
    """Tell something."""
    return a + 1  # a comment


def other(a: int) -> int:
    return a + 2


def test_comments_and_docstrings_do_not_change_a_digest_and_code_does() -> None:
    digest = digest_of(one)

    def one_again() -> None: ...

    source = "def one(a: int) -> int:\n    return (a\n        + 1)\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inspect.getsource", lambda owner: source)
        assert digest_of(one_again) == digest
    assert digest_of(other) != digest


def test_what_has_no_source_counts_as_changed() -> None:
    assert changed({"len": (len, ("x",)), "one": (one, (digest_of(one),)), "gone": (None, ("x",))}) == ["len", "gone"]
