"""The SDK of OpenAI is imported at the start only where an agent may use LiveKit Inference."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import Agent

from openrtc import AgentSpec, Cast, Member
from openrtc.config import Config, SessionDefaults, WorkerSettings
from openrtc.worker.inference_llm import may_use_inference_llm
from openrtc.worker.runtime import build_runtime

GPT = "openai/gpt-4.1-mini"


def build() -> Agent:
    return Agent(instructions="x")


def may_use(*specs: AgentSpec, url: str = "ws://127.0.0.1:7880", environ: Any = None, **defaults: Any) -> bool:
    config = Config(defaults=SessionDefaults(**defaults), worker=WorkerSettings(url=url))
    return may_use_inference_llm(build_runtime(config, specs=list(specs), discovered=False), environ or {})


def spec(**options: Any) -> AgentSpec:
    return AgentSpec(**{"name": "one", "agent": build, **options})


def test_not_where_no_model_is_named_and_the_server_is_ones_own() -> None:
    assert not may_use(spec())
    assert not may_use(spec(llm=lambda: None), llm="offline")


@pytest.mark.parametrize("options", [{"llm": GPT}, {"session_options": {"llm": GPT}}])
def test_where_a_model_is_a_string(options: dict[str, Any]) -> None:
    assert may_use(spec(**options))
    member = Member(role="a", agent=AgentSpec(agent=build, **options))
    assert may_use(spec(agent=None, cast=Cast(members=[member, Member(role="b", agent=build)])))


def test_where_the_default_is_a_string() -> None:
    assert may_use(spec(), llm=GPT)


def test_where_it_has_credentials() -> None:
    assert may_use(spec(), url="wss://mine.livekit.cloud")
    assert may_use(spec(), environ={"LIVEKIT_INFERENCE_API_KEY": "key"})
    assert may_use(spec(), environ={"LIVEKIT_INFERENCE_URL": "http://gateway"})
