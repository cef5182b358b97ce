"""The ear of a cast on the real server: it is given to another member, and passes on when its member is lost."""

from __future__ import annotations

import time

import pytest

from e2e.cast_room import DRIVER_WHERE, HELLO, CastRoom, NewCastRoom, events_of, leave_and_wait_for_end, overlap
from e2e.worker import WorkerProcess

pytestmark = pytest.mark.realtime


def heard_of_ann(room: CastRoom) -> list[str]:
    """Return what the person is shown of her own words, without what was not final yet."""
    return [one["text"] for one in room.written("ann") if one["final"]]


def wait_for_ear(room: CastRoom, worker: WorkerProcess, role: str, times: int = 1) -> None:
    """Wait until the ear has moved so often, at last to a member."""
    room.wait_until(lambda: len(events_of(worker, room.room, "ear_moved")) == times)
    assert events_of(worker, room.room, "ear_moved")[-1]["member"] == role


def test_the_ear_is_given_to_another_member_and_comes_back_when_that_one_is_removed(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("quiet")
    room.wait_for("Tim")
    typed = room.type("dispatcher give_ear(driver)")
    wait_for_ear(room, cast_worker, "driver")
    room.wait_for("Tim", since=typed)
    said = room.say(DRIVER_WHERE)
    room.wait_for("Chris", since=said.ended)
    said = room.say(HELLO)
    speeches = room.wait_for("Tim", since=said.ended)
    assert speeches[0].began - said.ended < 1.5
    assert heard_of_ann(room) == ["driver where are you", "hello there"]
    typed = room.type("driver, hello")
    room.wait_for("Chris", since=typed)

    room.api.remove_participant(room.room, room.identity("driver"))
    wait_for_ear(room, cast_worker, "dispatcher", times=2)
    said = room.say(HELLO)
    room.wait_for("Tim", since=said.ended)
    assert heard_of_ann(room) == ["driver where are you", "hello there", "hello there"]


def test_after_the_ear_has_moved_a_person_is_still_heard_at_once(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("lively")
    room.wait_until(lambda: "Chris" in room.spoken())
    room.type("dispatcher give_ear(driver)")
    wait_for_ear(room, cast_worker, "driver")
    time.sleep(2.0)
    said = room.say(HELLO, 0.8)
    speeches = room.wait_for("Tim", since=said.ended)
    before = [speech for speech in speeches + room.speeches() if speech.began < said.began]
    assert max(speech.ended for speech in before) <= said.began + 0.3, "the members went on"
    assert not [speech for speech in room.speeches() if said.began + 0.3 < speech.began < said.ended]
    assert overlap(room.speeches()) <= 0.2


def test_a_member_whose_recognition_fails_goes_on_to_speak_and_another_one_listens(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("brokenear")
    room.wait_for("Tim")
    room.say(HELLO)
    wait_for_ear(room, cast_worker, "driver")
    said = room.say(HELLO)
    room.wait_for("Tim", since=said.ended)
    assert sorted(room.members().values()) == ["Chris", "Tim"]
    assert cast_worker.records(r"member 'driver' listens to people now, in the place of 'dispatcher': the speech recog")


def test_when_the_ear_fails_at_the_start_another_member_hears_and_answers(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("faultyear")
    wait_for_ear(room, cast_worker, "driver")
    room.wait_for("Chris")
    said = room.say(HELLO)
    room.wait_for("Chris", since=said.ended)
    (left,) = events_of(cast_worker, room.room, "member_left")
    assert (left["member"], left["failed"]) == ("dispatcher", True)
    (error,) = events_of(cast_worker, room.room, "call_error")
    assert not error["fatal"]


def test_an_ear_that_is_removed_falls_silent_and_another_member_hears_what_is_said_and_typed(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("quiet")
    room.wait_for("Tim")
    room.type("driver remove(dispatcher)")
    wait_for_ear(room, cast_worker, "driver")
    room.wait_until(lambda: room.roles() == ["driver"])
    said = room.say(HELLO)
    room.wait_for("Chris", since=said.ended)
    typed = room.type("dispatcher, are you there")
    room.wait_for("Chris", since=typed)
    leave_and_wait_for_end(room, cast_worker)


def test_where_members_hear_each_other_by_ear_the_ear_moves_too(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("voices")
    room.wait_for("Tim", "Chris")
    room.type("dispatcher give_ear(driver)")
    wait_for_ear(room, cast_worker, "driver")
    room.wait_for_words("Tim was told given")
    said = room.say(HELLO)
    room.wait_for("Tim", since=said.ended)
    typed = room.type("dispatcher send(driver, hurry)")
    room.wait_for("Tim", "Chris", since=typed)
    assert heard_of_ann(room) == ["hello there"]
