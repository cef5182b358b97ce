"""A session that a LiveKit entrypoint makes without models gets those of ``[defaults]``, and no other one does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, inference, llm

from openrtc.model.agents import AgentSpec
from openrtc.plugins.hooks import Hooks
from openrtc.runtime.providers import Providers
from openrtc.session import default_models
from openrtc.session.default_models import give_default_models
from openrtc.settings.config import Config, SessionDefaults


class Model(llm.LLM[str]):
    """A language model that says nothing."""

    def chat(self, **options: Any) -> Any:
        raise NotImplementedError


MODEL = Model()


async def entrypoint(context: Any) -> None: ...


def give(session: AgentSession[Any], agent: Agent | None = None, **defaults: Any) -> AgentSession[Any]:
    runtime: Any = SimpleNamespace(config=Config(defaults=SessionDefaults(**defaults)), providers=Providers(Hooks()))
    spec = AgentSpec(name="desk", entrypoint=entrypoint)
    give_default_models(session, agent or Agent(instructions="x"), spec, runtime)
    return session


@pytest.mark.parametrize(
    ("options", "own", "expected"),
    [
        ({}, {}, MODEL),
        ({"llm": "openai/gpt-4.1-mini"}, {}, "openai/gpt-4.1-mini"),
        ({"stt": "deepgram/nova-3"}, {}, None),
        ({}, {"llm": "openai/gpt-4.1-mini"}, None),
        ({}, {"llm": None}, None),
    ],
    ids=["none", "of the session", "it only transcribes", "of the agent", "the agent wants none"],
)
async def test_only_a_session_without_any_model_gets_them(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], own: dict[str, Any], expected: Any
) -> None:
    monkeypatch.setenv("LIVEKIT_API_KEY", "key")
    monkeypatch.setenv("LIVEKIT_API_SECRET", "secret")
    session = give(AgentSession(**options), Agent(instructions="x", **own), llm=lambda: MODEL)
    named = session.llm.model if isinstance(session.llm, inference.LLM) else session.llm
    assert named == expected
    assert session.tts is None


async def test_a_model_by_its_name_is_built_as_livekit_agents_builds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_API_KEY", "key")
    monkeypatch.setenv("LIVEKIT_API_SECRET", "secret")
    session = give(AgentSession(), llm="openai/gpt-4.1-mini", tts="cartesia/sonic-3")
    assert isinstance(session.llm, inference.LLM)
    assert isinstance(session.tts, inference.TTS)


async def test_without_defaults_or_with_an_unknown_livekit_it_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert give(AgentSession()).llm is None
    monkeypatch.setattr(default_models, "describe_changes", lambda part: f"{part} has changed")
    assert give(AgentSession(), llm=lambda: MODEL).llm is None
    assert "agent 'desk': it gets no models of [defaults]" in caplog.text
