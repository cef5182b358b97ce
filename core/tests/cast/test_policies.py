from __future__ import annotations

import pytest

from openrtc.cast.policies import find_addressed_role, find_answering_role, find_next_role
from openrtc.model.agents import HumanTurn

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
    assert find_addressed_role(text, NAMES) == role


def test_each_policy_finds_who_answers() -> None:
    assert find_answering_role("lead", turn("Chris?")) == "dispatcher"
    assert find_answering_role("addressed", turn("Chris?")) == "driver"
    assert find_answering_role("addressed", turn("hello")) == "dispatcher"
    assert find_answering_role("last_speaker", turn("hello")) == "driver"


def test_the_order_goes_round() -> None:
    assert find_next_role("dispatcher", tuple(NAMES)) == "driver"
    assert find_next_role("night-porter", tuple(NAMES)) == "dispatcher"
    assert find_next_role("gone", tuple(NAMES)) == "dispatcher"
    assert find_next_role("dispatcher", ("dispatcher",)) is None
