from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openrtc.config import WorkerSettings
from openrtc.conversation import way
from openrtc.conversation.way import Way, choose_way
from openrtc.hooks.hooks import Hooks
from openrtc.providers.providers import Providers

GIVEN = WorkerSettings(url="wss://calls.example", api_key="key", api_secret="secret")


class Offline:
    """A provider that can be used here or not."""

    def __init__(self, problem: str | None) -> None:
        self.problem = problem

    def available(self) -> str | None:
        return self.problem

    def tts(self, model: str, context: Any) -> str:
        return "the voice"


def providers(problem: str | None = None, *, installed: bool = True) -> Providers:
    made = Providers(Hooks())
    if installed:
        made._providers["offline"] = (Offline(problem), "openrtc-offline")  # type: ignore[assignment]
    return made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "find_server", lambda: Path("/bin/livekit-server"))


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "find_server", lambda: None)


@pytest.mark.usefixtures("server")
def test_a_given_server_is_taken_first() -> None:
    choice = choose_way(GIVEN, providers(), text=False)
    assert choice.way is Way.GIVEN_SERVER
    assert "wss://calls.example" in choice.because
    assert choice.voice == "the voice"


@pytest.mark.usefixtures("server")
def test_a_server_of_this_machine_is_taken_when_none_is_given() -> None:
    choice = choose_way(WorkerSettings(url="wss://calls.example"), providers(), text=False)
    assert choice.way is Way.LOCAL_SERVER
    assert "LIVEKIT_API_KEY" in choice.better


@pytest.mark.usefixtures("no_server")
def test_without_any_server_they_speak_in_this_process() -> None:
    choice = choose_way(WorkerSettings(), providers(), text=False)
    assert choice.way is Way.SPOKEN
    assert "openrtc-livekit-server" in choice.better


@pytest.mark.usefixtures("server")
def test_without_a_voice_they_write_and_are_told_how_to_get_one() -> None:
    choice = choose_way(GIVEN, providers("no synthesiser is installed"), text=False)
    assert choice.way is Way.TEXT
    assert "no synthesiser is installed" in choice.because
    assert 'pip install "openrtc-offline[espeak]"' in choice.better
    assert choose_way(GIVEN, providers(installed=False), text=False).way is Way.TEXT


@pytest.mark.usefixtures("server")
def test_text_can_be_asked_for() -> None:
    choice = choose_way(GIVEN, providers(), text=True)
    assert choice.way is Way.TEXT
    assert choice.voice is None
