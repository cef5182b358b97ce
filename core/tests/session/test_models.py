"""Which speech and language models a session gets: what outweighs what."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import Agent, inference

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.lack import Lack
from openrtc.plugins.hooks import Hooks
from openrtc.runtime.providers import Providers
from openrtc.session.models import (
    SET_BY_AGENT,
    choose_models,
    explain_missing_key,
    is_realtime,
    label_models,
    require_served,
)
from openrtc.settings.config import SessionDefaults


class Offline:
    """Offline models, of which some kinds are missing here."""

    def __init__(self, *missing: str) -> None:
        self._missing = missing

    def available(self) -> None:
        return None

    def missing(self, kind: str) -> str | None:
        return "not installed" if kind in self._missing else None


def providers(*missing: str) -> Providers:
    made = Providers(Hooks())
    made._providers["offline"] = (Offline(*missing), "openrtc-offline")  # type: ignore[assignment]
    return made


def spec(**options: Any) -> AgentSpec:
    return AgentSpec(name="support", agent=Agent, **options)


@pytest.mark.parametrize(
    ("options", "defaults", "llm"),
    [
        (
            {"llm": "of-spec", "session_options": {"llm": "of-options"}},
            {"llm": "of-defaults", "offline": True},
            "of-spec",
        ),
        ({"session_options": {"llm": "of-options"}}, {"llm": "of-defaults", "offline": True}, "of-options"),
        ({}, {"llm": "of-defaults", "offline": True}, "of-defaults"),
        ({}, {"offline": True}, "offline:"),
        ({}, {}, None),
    ],
)
def test_the_spec_outweighs_its_options_the_settings_and_the_offline_models(
    options: dict[str, Any], defaults: dict[str, Any], llm: str | None
) -> None:
    chosen = choose_models(spec(**options), Agent(instructions="x"), SessionDefaults(**defaults), providers())
    assert chosen.get("llm") == llm


def test_what_the_agent_sets_itself_outweighs_all_and_is_not_chosen() -> None:
    agent = Agent(instructions="x", stt=None)
    chosen = choose_models(spec(stt="of-spec", tts="of-spec"), agent, SessionDefaults(stt="of-defaults"), providers())
    assert chosen == {"tts": "of-spec"}
    assert label_models(chosen, agent) == {"stt": SET_BY_AGENT, "llm": "", "tts": "of-spec"}


def test_a_realtime_model_gets_no_default_models_beside_it() -> None:
    defaults = SessionDefaults(offline=True)
    chosen = choose_models(spec(llm="openai/gpt-realtime"), Agent(instructions="x"), defaults, providers())
    assert chosen == {"llm": "openai/gpt-realtime"}
    assert is_realtime("openai/gpt-realtime") and not is_realtime("openai/gpt-4.1-mini")


def test_an_offline_model_that_is_missing_here_is_no_default_and_the_others_are() -> None:
    deaf = providers("stt")
    chosen = choose_models(spec(), Agent(instructions="x"), SessionDefaults(offline=True), deaf)
    assert chosen == {"llm": "offline:", "tts": "offline:"}
    # Who names it gets it, and with it the error that says what to install.
    chosen = choose_models(spec(stt="offline:"), Agent(instructions="x"), SessionDefaults(offline=True), deaf)
    assert chosen["stt"] == "offline:"


HOSTED = Lack("cloud", "LiveKit's Cloud, which alone has 'openai/gpt'", "name another")


def test_a_model_that_only_the_cloud_has_ends_a_call_where_the_agent_uses_it() -> None:
    agent = Agent(instructions="x")
    for models in ({"llm": "openai/gpt"}, {"tts": inference.TTS("cartesia/sonic", api_key="k", api_secret="s" * 32)}):
        require_served(agent, models, ())  # it is served
        with pytest.raises(OpenRTCError, match=r"it lacks LiveKit's Cloud.*\(name another\)"):
            require_served(agent, models, [HOSTED])
    require_served(agent, {"llm": object()}, [HOSTED])  # its code names one, and uses another


def test_an_agent_that_cannot_be_built_without_a_key_is_said_to_lack_it() -> None:
    with pytest.raises(OpenRTCError, match="it lacks LiveKit's Cloud"), explain_missing_key([HOSTED]):
        raise ValueError("api_key is required")
    for error, lacks in ((ValueError("api_key is required"), []), (ValueError("no such shelf"), [HOSTED])):
        with pytest.raises(ValueError, match=str(error)), explain_missing_key(lacks):
            raise error
