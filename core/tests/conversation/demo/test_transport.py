from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openrtc.conversation.demo import transport
from openrtc.conversation.demo.transport import Transport, choose_transport
from openrtc.install_commands import install_command
from openrtc.plugins.hooks import Hooks
from openrtc.runtime.providers import Providers
from openrtc.settings.config import WorkerSettings

GIVEN = WorkerSettings(url="wss://calls.example", api_key="key", api_secret="secret")


class Offline:
    """A provider that can be used here or not."""

    def __init__(self, problem: str | None, missing: str = "") -> None:
        self.problem = problem
        self._missing = missing

    def available(self) -> str | None:
        return self.problem

    def missing(self, kind: str) -> str | None:
        return f"no {kind} is installed" if kind == self._missing else None

    def tts(self, model: str, context: Any) -> str:
        return "the voice"


def providers(problem: str | None = None, *, installed: bool = True, missing: str = "") -> Providers:
    made = Providers(Hooks())
    if installed:
        made._providers["offline"] = (Offline(problem, missing), "openrtc-offline")  # type: ignore[assignment]
    return made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "find_server", lambda: Path("/bin/livekit-server"))


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "find_server", lambda: None)


@pytest.mark.usefixtures("server")
def test_a_given_server_is_taken_first() -> None:
    chosen = choose_transport(GIVEN, providers(), text=False)
    assert chosen.transport is Transport.GIVEN_SERVER
    assert "wss://calls.example" in chosen.because
    assert chosen.voice == "the voice"


@pytest.mark.usefixtures("server")
def test_a_server_of_this_machine_is_taken_when_none_is_given() -> None:
    chosen = choose_transport(WorkerSettings(url="wss://calls.example"), providers(), text=False)
    assert chosen.transport is Transport.LOCAL_SERVER
    assert "LIVEKIT_API_KEY" in chosen.better


@pytest.mark.usefixtures("no_server")
def test_without_any_server_they_speak_in_this_process() -> None:
    chosen = choose_transport(WorkerSettings(), providers(), text=False)
    assert chosen.transport is Transport.SPOKEN
    assert "openrtc-livekit-server" in chosen.better


@pytest.mark.usefixtures("server")
def test_without_a_voice_they_write_and_are_told_how_to_get_one() -> None:
    chosen = choose_transport(GIVEN, providers("no synthesiser is installed"), text=False)
    assert chosen.transport is Transport.TEXT
    assert "no synthesiser is installed" in chosen.because
    assert install_command("openrtc-offline[espeak]") in chosen.better
    assert choose_transport(GIVEN, providers(installed=False), text=False).transport is Transport.TEXT
    assert "no tts is installed" in choose_transport(GIVEN, providers(missing="tts"), text=False).because


@pytest.mark.usefixtures("server")
def test_they_write_where_they_have_a_voice_and_nothing_recognises_speech() -> None:
    chosen = choose_transport(GIVEN, providers(missing="stt"), text=False)
    assert chosen.transport is Transport.TEXT
    assert chosen.because == "in text, since agents would not hear their callers: no stt is installed"


@pytest.mark.usefixtures("server")
def test_text_can_be_asked_for() -> None:
    chosen = choose_transport(GIVEN, providers(), text=True)
    assert chosen.transport is Transport.TEXT
    assert chosen.voice is None
