"""The end-of-turn weights, the SDK of OpenAI and what uploads recordings are loaded only where they may be used."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import Agent

from openrtc import AgentSpec, Cast, Member
from openrtc.runtime.runtime import build_runtime
from openrtc.settings.config import Config, SessionDefaults, WorkerSettings
from openrtc.worker.preload_plan import (
    RECORDING_VARIABLE,
    may_upload_recordings,
    may_use_inference_llm,
    needs_end_of_turn,
)

GPT = "openai/gpt-4.1-mini"
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


def may_use(*specs: AgentSpec, url: str = "ws://127.0.0.1:7880", environ: Any = None, **defaults: Any) -> bool:
    config = Config(defaults=SessionDefaults(**defaults), worker=WorkerSettings(url=url))
    return may_use_inference_llm(build_runtime(config, specs=list(specs), discovered=False), environ or {})


def spec(**options: Any) -> AgentSpec:
    return AgentSpec(**{"name": "one", "agent": build, **options})


def test_the_sdk_of_openai_is_not_needed_where_no_model_is_named_and_the_server_is_ones_own() -> None:
    assert not may_use(spec())
    assert not may_use(spec(llm=lambda: None), llm="offline")


@pytest.mark.parametrize("options", [{"llm": GPT}, {"session_options": {"llm": GPT}}])
def test_the_sdk_of_openai_may_be_needed_where_a_model_is_a_string(options: dict[str, Any]) -> None:
    assert may_use(spec(**options))
    member = Member(role="a", agent=AgentSpec(agent=build, **options))
    assert may_use(spec(agent=None, cast=Cast(members=[member, Member(role="b", agent=build)])))


def test_the_sdk_of_openai_may_be_needed_where_the_default_is_a_string() -> None:
    assert may_use(spec(), llm=GPT)


def test_the_sdk_of_openai_may_be_needed_where_it_has_credentials() -> None:
    assert may_use(spec(), url="wss://mine.livekit.cloud")
    assert may_use(spec(), environ={"LIVEKIT_INFERENCE_API_KEY": "key"})
    assert may_use(spec(), environ={"LIVEKIT_INFERENCE_URL": "http://gateway"})


@pytest.mark.parametrize(
    ("url", "variables", "uploads"),
    [
        ("wss://mine.livekit.cloud", {}, True),
        ("ws://localhost:7880", {}, False),
        ("ws://localhost:7880", {RECORDING_VARIABLE: ""}, False),
        ("ws://localhost:7880", {RECORDING_VARIABLE: "https://observe.example"}, True),
    ],
)
def test_a_worker_of_livekit_cloud_may_and_one_that_is_told_where_to(
    url: str, variables: dict[str, str], uploads: bool
) -> None:
    assert may_upload_recordings(url, variables) is uploads
