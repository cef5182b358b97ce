"""Whose tracks a member gets, and what livekit-agents does with its room."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from openrtc import AgentSpec, Cast, Member
from openrtc.cast.build_member import choose_hearing
from openrtc.cast.rooms import build_room_options, build_track_filter, disable_pre_connect_audio
from openrtc.catalog.catalog import Catalog
from openrtc.catalog.resolved_cast import ResolvedCast

KINDS = rtc.ParticipantKind


def make() -> None: ...


def support_desk(**options: Any) -> ResolvedCast:
    tim = AgentSpec(name="dispatcher", agent=make, display_name="Tim")
    members = [Member(role="boss", agent=tim), Member(role="help", agent="support")]
    desk = AgentSpec(name="desk", cast=Cast(members=members, **options))
    found = Catalog.of(specs=[AgentSpec(name="support", agent=make), desk]).resolve_cast(["desk"])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("options", "role", "hears"),
    [
        ({}, "boss", {"ann"}),
        ({}, "help", set[str]()),
        ({"hears": "audio"}, "help", {"boss-J", "help-J"}),
        ({"ends": "never"}, "boss", {"ann", "boss-J", "help-J"}),
        ({"ends": "never"}, "help", {"boss-J"}),
    ],
)
def test_each_member_subscribes_to_those_only_whom_it_has_to_hear(options: Any, role: str, hears: set[str]) -> None:
    seen = SimpleNamespace(hidden=False)
    people: Any = [
        SimpleNamespace(identity="ann", kind=KINDS.PARTICIPANT_KIND_STANDARD, permissions=seen),
        SimpleNamespace(identity="boss-J", kind=KINDS.PARTICIPANT_KIND_AGENT, permissions=seen),
        SimpleNamespace(identity="help-J", kind=KINDS.PARTICIPANT_KIND_AGENT, permissions=seen),
        SimpleNamespace(identity="other-K", kind=KINDS.PARTICIPANT_KIND_AGENT, permissions=seen),
        SimpleNamespace(identity="recorder", kind=KINDS.PARTICIPANT_KIND_EGRESS, permissions=seen),
    ]
    is_boss, hears_members = role == "boss", options.get("hears") == "audio" and role != "boss"
    member: Any = SimpleNamespace(role=role, listens=is_boss, in_jobs_room=is_boss, hears_members=hears_members)
    wants = build_track_filter(member, support_desk(**options), "J")
    assert {one.identity for one in people if wants(one)} == hears
    member.listens, member.hears_members = not member.listens, False
    assert ("ann" in {one.identity for one in people if wants(one)}) is member.listens, "the ear has moved"


def test_members_that_hear_voices_need_three_options_and_the_others_none() -> None:
    by_text, by_ear = support_desk(), support_desk(hears="audio")
    resolved = by_text.members[1]
    assert (choose_hearing(resolved, by_text), choose_hearing(resolved, by_ear)) == ("nobody", "members")
    assert choose_hearing(by_ear.members[0], by_ear) == "people"
    member: Any = SimpleNamespace(role="help", in_jobs_room=False, hears_members=True, resolved=resolved)
    options = build_room_options(member, by_ear, "J")
    assert KINDS.PARTICIPANT_KIND_AGENT in options.participant_kinds  # type: ignore[operator]
    assert (options.participant_identity, options.close_on_disconnect) == ("boss-J", False)
    member.hears_members = False
    options = build_room_options(member, by_text, "J")
    assert (options.text_input, options.close_on_disconnect) == (False, False)
    audio = disable_pre_connect_audio(options).get_audio_input_options()
    assert audio is not None and not audio.pre_connect_audio
