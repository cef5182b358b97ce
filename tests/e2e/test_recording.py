"""`e2e.recording`: sound and the wall clock."""

from __future__ import annotations

import numpy as np
import pytest

from e2e.pcm import RATE, seconds_of, silence, tone
from e2e.recording import Recording, heard_after

START = 1_000_000.0


def recording(identity: str, silent: float, delay: float = 0.0) -> Recording:
    """Return two seconds of a tone after ``silent`` seconds; the last second was heard ``delay`` seconds late."""
    sound = np.concatenate([silence(silent), tone(440, 2.0)])
    last = len(sound)
    anchors = ((0, START), (last - RATE, START + (last - RATE) / RATE), (last, START + last / RATE + delay))
    return Recording(identity, "TR_1", sound, anchors)


def test_samples_have_times_and_times_have_samples() -> None:
    heard = recording("ann", 1.0)
    assert heard.began == START
    assert heard.ended == pytest.approx(START + 3.0)
    assert heard.time_of(RATE) == pytest.approx(START + 1.0)
    assert heard.sample_at(START + 1.5) == pytest.approx(1.5 * RATE, abs=2)


def test_sound_that_arrived_late_has_the_time_at_which_it_was_heard() -> None:
    heard = recording("ann", 1.0, delay=0.5)
    assert heard.ended == pytest.approx(START + 3.5)
    assert heard.time_of(len(heard.sound) - RATE) == pytest.approx(START + 2.0)


def test_a_part_is_cut_by_the_clock() -> None:
    heard = recording("ann", 1.0)
    part = heard.between(START + 0.5, START + 1.5)
    assert seconds_of(part) == pytest.approx(1.0, abs=0.001)
    assert not part[: RATE // 2 - 10].any()


def test_the_first_sound_after_a_time_is_told_by_the_clock() -> None:
    heard = recording("ann", 1.0)
    assert heard.first_sound_after(START) == pytest.approx(START + 1.0, abs=0.011)
    assert heard.first_sound_after(START + 3.0) is None


def test_those_who_were_heard_stand_in_order() -> None:
    both = [recording("late", 1.5), recording("early", 0.5)]
    assert heard_after(both, START) == ["early", "late"]
    assert heard_after(both, START + 3.0) == ["late"]
