"""Which installation workers are not replaced with again."""

from __future__ import annotations

from openrtc.supervisor.no_roll import ROLL_AGAIN_SECONDS, NoRoll


def test_what_a_roll_out_has_failed_with_is_not_tried_again_until_something_else_is_installed() -> None:
    now = [0.0]
    rolls = NoRoll(lambda: now[0])
    assert rolls.allows("one")
    rolls.note("one", for_good=True)
    now[0] = 10 * ROLL_AGAIN_SECONDS
    assert not rolls.allows("one") and rolls.allows("two")
    rolls.note("two", for_good=False)
    assert rolls.allows("one") and not rolls.allows("two")
    now[0] += ROLL_AGAIN_SECONDS
    assert rolls.allows("two")
    rolls.note("two", for_good=True)
    rolls.forget()
    assert rolls.allows("two")
