"""The mark of a dispatch: good for what it was made for, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from livekit import api
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.dispatch.marks import MARK_ATTRIBUTE, add_mark, check_mark, is_marked_for_rooms
from openrtc.model.decision import DECISION_ATTRIBUTE

SECRET = "a-secret-of-thirty-two-characters"


def asked(**changes: object) -> api.RoomAgentDispatch:
    values = {"agent_name": "front", "metadata": '{"k": 1}', "attributes": {"openrtc.agent": "support", "a": "b"}}
    return api.RoomAgentDispatch(**values | changes)  # type: ignore[arg-type]


def job_of(dispatch: api.RoomAgentDispatch, room: str) -> proto.Job:
    return proto.Job(
        room=models.Room(name=room),
        agent_name=dispatch.agent_name,
        metadata=dispatch.metadata,
        attributes=dict(dispatch.attributes),
    )


def test_a_mark_is_good_in_its_room_alone_and_by_its_secret_alone() -> None:
    dispatch = asked()
    assert check_mark(job_of(dispatch, "r"), [SECRET]) is None
    add_mark(dispatch, SECRET, room="r")
    assert check_mark(job_of(dispatch, "r"), ["another", SECRET]) is True, "an old secret may be among them"
    assert check_mark(job_of(dispatch, "r2"), [SECRET]) is False
    assert check_mark(job_of(dispatch, "r"), ["another", ""]) is False
    again = asked(attributes={"a": "b", "openrtc.agent": "support"})
    add_mark(again, SECRET, room="r")
    assert again.attributes == dispatch.attributes, "who dispatches the same twice asks for the same"


@pytest.mark.parametrize(
    "change",
    [
        lambda job: setattr(job, "agent_name", "back"),
        lambda job: setattr(job, "metadata", '{"k": 2}'),
        lambda job: job.attributes.update({"openrtc.agent": "sales"}),
        lambda job: job.attributes.update({"b": "c"}),
        lambda job: job.attributes.pop("a"),
        lambda job: job.attributes.update({MARK_ATTRIBUTE: ""}),
        lambda job: job.attributes.update({MARK_ATTRIBUTE: "1."}),
        lambda job: job.attributes.update({MARK_ATTRIBUTE: "2" + job.attributes[MARK_ATTRIBUTE][1:]}),
        lambda job: job.attributes.update({MARK_ATTRIBUTE: job.attributes[MARK_ATTRIBUTE] + "."}),
        lambda job: job.attributes.update({MARK_ATTRIBUTE: job.attributes[MARK_ATTRIBUTE] + ".r"}),
        lambda job: job.attributes.update({MARK_ATTRIBUTE: "1.\u00e9\u202e"}),
    ],
)
def test_whatever_else_is_asked_for_has_no_good_mark(change: Callable[[proto.Job], object]) -> None:
    dispatch = asked()
    add_mark(dispatch, SECRET, room="r")
    job = job_of(dispatch, "r")
    change(job)
    assert check_mark(job, [SECRET]) is False


def test_what_livekit_or_a_worker_adds_on_the_way_changes_nothing() -> None:
    dispatch = asked()
    add_mark(dispatch, SECRET, room="r")
    job = job_of(dispatch, "r")
    job.attributes.update({"lk.region": "eu", DECISION_ATTRIBUTE: "{}"})
    assert check_mark(job, [SECRET]) is True


def test_the_mark_of_a_telephone_rule_is_good_in_each_room_that_the_rule_makes() -> None:
    dispatch = asked()
    add_mark(dispatch, SECRET, room_prefix="call-")
    for room, good in [("call-_+49123_Xy", True), ("call-", False), ("call-evil", False), ("r", False)]:
        assert check_mark(job_of(dispatch, room), [SECRET]) is good
    assert is_marked_for_rooms(dispatch, SECRET, room="", room_prefix="call-")
    assert not is_marked_for_rooms(dispatch, SECRET, room="lobby", room_prefix="")
    dispatch.attributes[MARK_ATTRIBUTE] = dispatch.attributes[MARK_ATTRIBUTE].replace(".call-", ".")
    assert check_mark(job_of(dispatch, "r"), [SECRET]) is False, "a shorter prefix would be good in more rooms"


def test_letters_of_all_kinds_can_be_signed() -> None:
    dispatch = asked(metadata="\u00e9\u2028\x00\U0001f600")
    add_mark(dispatch, SECRET, room="\u202er")
    assert check_mark(job_of(dispatch, "\u202er"), [SECRET]) is True
