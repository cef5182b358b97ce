"""The end-of-turn weights are loaded only where an agent that is ready may use them."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import Agent

from openrtc import AgentSpec, Cast, Member
from openrtc.config import Config, SessionDefaults
from openrtc.worker.end_of_turn import needs_end_of_turn
from openrtc.worker.runtime import build_runtime

BY_VAD: dict[str, Any] = {"session_options": {"turn_handling": {"turn_detection": "vad"}}}


def build() -> Agent:
    return Agent(instructions="x")


def needed(*options: dict[str, Any], resources: tuple[str, ...] = (), **defaults: Any) -> bool:
    specs = [AgentSpec(name=f"agent-{n}", **{"agent": Agent, **more}) for n, more in enumerate(options)]
    config = Config(defaults=SessionDefaults(**defaults))
    return needs_end_of_turn(build_runtime(config, specs=specs, discovered=False), resources)


@pytest.mark.parametrize(
    "options",
    [
        [{}],
        [BY_VAD, {}],
        [{"turn_detection": object()}],
        [{"turn_detection": lambda: object()}],
        [{"session_options": {"turn_handling": {"turn_detection": object()}}}],
        [{"session_options": {"turn_handling": {"interruption": {"mode": "vad"}}}}],
    ],
)
def test_an_agent_may_use_them(options: list[dict[str, Any]]) -> None:
    assert needed(*options)


def test_no_agent_uses_them() -> None:
    assert not needed(BY_VAD, {"turn_detection": "stt"})
    assert not needed({}, resources=("vad", "turn_detection"))
    assert not needed({}, turn_detection="vad")


def test_of_a_cast_only_the_ear_counts() -> None:
    by_vad = AgentSpec(agent=build, **BY_VAD)
    members = [Member(role="a", agent=by_vad), Member(role="b", agent=build)]
    assert needed({"agent": None, "cast": Cast(members=members, ear="b")})
    assert not needed({"agent": None, "cast": Cast(members=members, ear="a")})


def test_an_agent_with_a_model_object_needs_them_whatever_others_have() -> None:
    assert needed({"turn_detection": object()}, BY_VAD, resources=("turn_detection",))
