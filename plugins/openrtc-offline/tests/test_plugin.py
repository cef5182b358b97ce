"""What the package contributes."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession

import openrtc_offline.plugin as plugin
from openrtc import Call, Decision, OpenRTCError, Provider, ProviderContext, RouteRequest
from openrtc_offline.provider import OfflineProvider

NO_WHEEL = sys.version_info >= (3, 14)
"""Whether pocketsphinx, and with it the ears, may be missing here."""

CONTEXT = ProviderContext(agent_name="desk", agent=Agent(instructions=""))


def call(stt: str) -> Call:
    request = RouteRequest(room_name="room")
    return Call(job_id="1", agent_name="desk", request=request, decision=Decision.to("desk"), models={"stt": stt})


def test_one_entry_point_brings_the_plugin() -> None:
    found = [e for e in entry_points(group="openrtc.plugins") if e.value.startswith("openrtc_offline")]
    assert [(e.name, e.value) for e in found] == [("offline", "openrtc_offline.plugin")]


@pytest.mark.process
def test_importing_the_plugin_imports_neither_livekit_nor_anything_heavy() -> None:
    program = (
        "import sys, openrtc_offline.plugin as p; p.openrtc_providers(); p.openrtc_resources();"
        "print(sorted({'livekit', 'numpy', 'pocketsphinx', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_provider_is_offered_under_its_scheme_and_is_available_here() -> None:
    offered = plugin.openrtc_providers()
    assert isinstance(offered["offline"], Provider)
    assert offered["offline"].available() is None
    assert [offered["offline"].missing(kind) for kind in ("llm", "tts")] == [None, None]


@pytest.mark.skipif(NO_WHEEL and find_spec("pocketsphinx") is None, reason="pocketsphinx has no wheel for this Python")
def test_this_machine_can_listen() -> None:
    assert OfflineProvider().missing("stt") is None


def test_without_an_engine_only_the_voice_is_missing_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "pocketsphinx" else None)
    provider = OfflineProvider()
    reason = provider.missing("tts")
    assert reason is not None and "\n" not in reason
    assert "pip install espeakng-loader" in reason and "flite" in reason
    assert provider.available() is provider.missing("stt") is provider.missing("llm") is None


def test_without_a_recogniser_only_hearing_is_missing_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pocketsphinx" else object())
    provider = OfflineProvider()
    reason = provider.missing("stt")
    assert reason is not None and "\n" not in reason
    assert "pip install pocketsphinx" in reason and "text and voices work" in reason
    assert ("compiler" in reason) == NO_WHEEL
    assert provider.available() is provider.missing("tts") is provider.missing("llm") is None
    provider.prewarm()


@pytest.mark.parametrize("kind", ["stt", "llm", "tts"])
def test_an_unknown_model_is_one_clear_line(kind: str) -> None:
    with pytest.raises(OpenRTCError) as caught:
        getattr(OfflineProvider(), kind)("bogus", CONTEXT)
    assert "bogus" in str(caught.value) and "\n" not in str(caught.value) and caught.value.fix


@pytest.mark.process
async def test_loading_the_resource_starts_no_child_and_closing_it_leaves_none() -> None:
    (spec,) = plugin.openrtc_resources()
    provider = spec.load()
    assert spec.key == "offline.recognizer" and "recognizers" not in provider.__dict__
    await provider.speakers.ask({"text": "hello", "voice": "en-us", "speed": 155})
    assert len(provider.speakers.pids) == 1
    speakers = provider.speakers
    assert spec.close is not None
    await spec.close(provider)
    assert speakers.pids == []


def test_only_calls_with_offline_recognition_get_its_session_options() -> None:
    assert plugin.openrtc_session_options(call("deepgram/nova")) is None
    assert plugin.openrtc_session_options(call("")) is None
    options = plugin.openrtc_session_options(call("offline:"))
    assert options is not None and options["turn_handling"]["turn_detection"] == "vad"


async def test_livekit_accepts_the_session_options() -> None:
    options: Any = plugin.openrtc_session_options(call("offline:"))
    session: AgentSession[None] = AgentSession(**options)
    assert session.options.interruption["min_duration"] == 0.6
    assert session.options.endpointing["min_delay"] == 0.2
    await session.aclose()
