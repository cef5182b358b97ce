"""Several agents in one room, on the real server: who is heard, when, and under whose name."""

from __future__ import annotations

import time

import pytest

from e2e.agent_packages import ROLES
from e2e.cast_room import DRIVER_WHERE, HELLO, NewCastRoom, events_of, overlap
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess

pytestmark = pytest.mark.realtime


def test_two_members_take_turns_each_with_its_own_participant_voice_and_transcript(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("pair", speaks=False)
    speeches = room.wait_for("Tim", "Chris", "Tim", "Chris")
    time.sleep(1.0)
    assert room.spoken() == ["Tim", "Chris", "Tim", "Chris"], "the turn budget is four"
    assert overlap(speeches) <= 0.2
    assert all(speech.identity.startswith(f"{ROLES[speech.who]}-") for speech in speeches)
    assert sorted(room.members().values()) == ["Chris", "Tim"]
    tracks = {recording.identity: recording.sid for recording in room.person.recordings()}
    for name in ("Tim", "Chris"):
        identity = room.identity(ROLES[name])
        written = [(one["text"], one["track"]) for one in room.written(identity)]
        assert len(written) == 2 and all(track == tracks[identity] for _, track in written)
        assert name in written[-1][0]
    assert [(one["member"], one["cause"]) for one in events_of(cast_worker, room.room, "member_spoke")] == [
        ("dispatcher", "opening"),
        ("driver", "member"),
        ("dispatcher", "member"),
        ("driver", "member"),
    ]


def test_a_person_who_barges_in_is_heard_at_once_and_answered_by_the_lead(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("lively")
    room.wait_until(lambda: "Chris" in room.spoken())
    said = room.say(HELLO, 0.8)
    speeches = room.wait_for("Tim", since=said.ended)
    before = [speech for speech in speeches + room.speeches() if speech.began < said.began]
    assert max(speech.ended for speech in before) <= said.began + 0.3, "the members went on"
    assert not [speech for speech in room.speeches() if said.began + 0.3 < speech.began < said.ended]
    assert speeches[0].began - said.ended < 1.5
    (turn,) = [one for one in events_of(cast_worker, room.room, "turn_completed") if one["answered"]]
    assert (turn["member"], turn["heard"]) == ("dispatcher", "hello there")
    assert 0 < turn["latency_seconds"] < 1.5


def test_whoever_a_person_calls_by_name_answers_and_the_others_keep_quiet(cast_room: NewCastRoom) -> None:
    room = cast_room("quiet")
    room.wait_for("Tim")
    said = room.say(DRIVER_WHERE)
    room.wait_for("Chris", since=said.ended)
    time.sleep(1.0)
    assert room.spoken(said.ended) == ["Chris"]
    assert room.words()[-1] == "Chris speaks line 1 and answers an"


def test_three_members_speak_in_their_order_and_the_package_chooses_who_answers(cast_room: NewCastRoom) -> None:
    room = cast_room("trio")
    room.wait_for("Tim", "Chris", "Pat")
    said = room.say(HELLO)
    room.wait_for("Pat", since=said.ended)
    assert overlap(room.speeches()) <= 0.2
    time.sleep(1.0)
    assert room.spoken(said.ended) == ["Pat"], "nobody was addressed by the answer"


def test_a_router_may_send_two_agents_to_one_room(cast_room: NewCastRoom, cast_worker: WorkerProcess) -> None:
    room = cast_room("both", speaks=False)
    speeches = room.wait_for("Tim", "Chris", "Tim", "Chris")
    assert {speech.identity.rpartition("-")[0] for speech in speeches} == {"tim", "chris"}
    (routed,) = events_of(cast_worker, room.room, "call_routed")
    assert "'tim+chris'" in routed["reason"]


def test_members_may_hear_each_other_by_ear(cast_room: NewCastRoom) -> None:
    room = cast_room("voices")
    speeches = room.wait_for("Tim", "Chris")
    assert overlap(speeches) <= 0.2
    assert room.words() == ["this is Tim at the dispatch desk", "Chris speaks line 1 and answers Ti by ear"]
    said = room.say(HELLO)
    room.wait_for("Tim", since=said.ended)


def test_without_people_members_talk_on_until_somebody_closes_the_room(
    api: ServerApi, cast_worker: WorkerProcess
) -> None:
    name = f"never-{time.monotonic_ns()}"
    api.create_room(name)
    until = time.time() + 15
    while len(spoken := events_of(cast_worker, name, "member_spoke")) < 3:
        assert time.time() < until, spoken
        time.sleep(0.2)
    assert [one["member"] for one in spoken[:3]] == ["dispatcher", "driver", "dispatcher"]
    api.delete_room(name)
    while not events_of(cast_worker, name, "call_ended"):
        assert time.time() < until
        time.sleep(0.2)
