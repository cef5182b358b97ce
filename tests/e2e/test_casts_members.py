"""What members of a cast do with each other on the real server: they ask, tell, hand over, come and go."""

from __future__ import annotations

import time

import pytest

from e2e.cast_room import HELLO, PORTER_PLEASE, NewCastRoom, events_of, overlap
from e2e.worker import WorkerProcess

pytestmark = pytest.mark.realtime


def test_a_member_asks_another_one_and_uses_the_answer(cast_room: NewCastRoom) -> None:
    room = cast_room("quiet", speaks=False)
    room.wait_for("Tim")
    typed = room.type("dispatcher ask(driver, where are you)")
    speeches = room.wait_for("Chris", "Tim", since=typed)
    assert overlap(speeches) <= 0.2
    assert room.words()[-1] == "Tim was told Chris speaks line 1 and answers Ti"


def test_what_cannot_be_done_is_one_clear_line_for_the_model(cast_room: NewCastRoom) -> None:
    room = cast_room("onlyear", speaks=False)
    room.wait_for("Tim")
    for typed, said in (
        ("dispatcher ask(dispatcher, who)", "'dispatcher' asks itself"),
        ("dispatcher ask(drivr, who)", "no member 'drivr' takes part in this cast (did you mean \"driver\"?)"),
        ("dispatcher ask(driver, ask[dispatcher; who])", "'dispatcher' itself waits for an answer of 'driver'"),
        ("dispatcher give_ear(driver)", "'driver' cannot listen to people: it has no speech recognition"),
        ("dispatcher remove(dispatcher)", "'dispatcher' is the only member that can listen to people"),
    ):
        room.type(typed)
        room.wait_for_words(said)
        time.sleep(0.5)  # a person who goes on at once would interrupt


def test_what_a_member_sends_is_answered_and_what_it_broadcasts_is_known(cast_room: NewCastRoom) -> None:
    room = cast_room("quiet", speaks=False)
    room.wait_for("Tim")
    typed = room.type("dispatcher send(driver, hurry)")
    room.wait_for("Tim", "Chris", since=typed)
    assert room.words()[-1] == "Chris speaks line 1 and answers Ti"


def test_a_member_hands_over_and_the_other_one_answers_people_from_then_on(cast_room: NewCastRoom) -> None:
    room = cast_room("quiet")
    room.wait_for("Tim")
    typed = room.type("dispatcher hand_over(driver)")
    room.wait_for("Tim", "Chris", since=typed)
    said = room.say(HELLO)
    room.wait_for("Chris", since=said.ended)


def test_a_member_is_added_and_removed_during_the_call(cast_room: NewCastRoom, cast_worker: WorkerProcess) -> None:
    room = cast_room("quiet")
    room.wait_for("Tim")
    room.type("dispatcher add(porter)")
    room.wait_until(lambda: "Pat" in room.members().values())
    said = room.say(PORTER_PLEASE)
    room.wait_for("Pat", since=said.ended)
    room.type("dispatcher remove(porter)")
    room.wait_until(lambda: sorted(room.members().values()) == ["Chris", "Tim"])
    (left,) = events_of(cast_worker, room.room, "member_left")
    assert (left["member"], left["failed"]) == ("porter", False)
