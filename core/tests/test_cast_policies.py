from __future__ import annotations

import pytest

from openrtc.cast.policies import HumanTurn, addressed, after, answering

NAMES = {"dispatcher": "Tim", "driver": "Chris", "night-porter": "Pat"}


def turn(text: str, last: str = "driver") -> HumanTurn:
    return HumanTurn(text=text, names=NAMES, lead="dispatcher", last_speaker=last)


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("chris, where are you?", "driver"),
        ("Where is the DRIVER", "driver"),
        ("night porter, open the door", "night-porter"),
        ("Tim, tell Chris to hurry", "dispatcher"),
        ("christmas is near", None),
        ("hello", None),
        ("", None),
    ],
)
def test_whoever_is_called_first_by_name_or_role_is_addressed(text: str, role: str | None) -> None:
    assert addressed(text, NAMES) == role


def test_each_policy_finds_who_answers() -> None:
    assert answering("lead", turn("Chris?")) == "dispatcher"
    assert answering("addressed", turn("Chris?")) == "driver"
    assert answering("addressed", turn("hello")) == "dispatcher"
    assert answering("last_speaker", turn("hello")) == "driver"


def test_the_order_goes_round() -> None:
    assert after("dispatcher", tuple(NAMES)) == "driver"
    assert after("night-porter", tuple(NAMES)) == "dispatcher"
    assert after("gone", tuple(NAMES)) == "dispatcher"
    assert after("dispatcher", ("dispatcher",)) is None
