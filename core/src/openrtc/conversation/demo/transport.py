"""How the demo's callers reach the agents: a given server, a server on this machine, speech in process, or text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from openrtc.conversation.offline import find_voice
from openrtc.install_commands import install_command
from openrtc.runtime.providers import OFFLINE_DISTRIBUTION, OFFLINE_SCHEME, Providers
from openrtc.server.find import SERVER_DISTRIBUTION, find_server
from openrtc.settings.config import WorkerSettings


class Transport(Enum):
    """How callers and agents talk with each other."""

    GIVEN_SERVER = "given server"
    LOCAL_SERVER = "local server"
    SPOKEN = "spoken"
    TEXT = "text"

    @property
    def in_rooms(self) -> bool:
        """Whether there are real rooms on a LiveKit server."""
        return self in (Transport.GIVEN_SERVER, Transport.LOCAL_SERVER)


@dataclass(frozen=True, slots=True)
class ChosenTransport:
    """The transport that the demo uses.

    Args:
        transport: The transport.
        because: What it is and why, in one line.
        better: How to get the next better one, in one line; empty when this is the best.
        voice: The callers' voice, a ``livekit.agents.tts.TTS``; None in text.
    """

    transport: Transport
    because: str
    better: str = ""
    voice: Any = None


def choose_transport(settings: WorkerSettings, providers: Providers, *, text: bool) -> ChosenTransport:
    """Return the best transport that there is here.

    Args:
        settings: Where the LiveKit server is, if one was given.
        providers: Who builds voices.
        text: Whether text was asked for.
    """
    if text:
        return ChosenTransport(Transport.TEXT, "in text, as asked for by --text", "without --text the callers speak")
    voice, problem = find_voice(providers)
    if voice is None:
        because = f"in text, since the callers have no voice: {problem}"
        return ChosenTransport(Transport.TEXT, because, f"to speak: {install_command(OFFLINE_DISTRIBUTION)}")
    if deaf := providers.why_unavailable(OFFLINE_SCHEME, "stt"):
        return ChosenTransport(Transport.TEXT, f"in text, since agents would not hear their callers: {deaf}")
    if settings.url and settings.api_key and settings.api_secret:
        return ChosenTransport(Transport.GIVEN_SERVER, f"spoken, in real rooms on {settings.url}", voice=voice)
    if find_server() is not None:
        given = "set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET to call through your own server"
        because = "spoken, in real rooms on a LiveKit server of this machine"
        return ChosenTransport(Transport.LOCAL_SERVER, because, given, voice)
    return ChosenTransport(
        Transport.SPOKEN,
        "spoken, without a server: there is no livekit-server on this machine and LIVEKIT_URL is not set",
        f"for real rooms: {install_command(SERVER_DISTRIBUTION)}, put livekit-server on the PATH, or set LIVEKIT_URL",
        voice,
    )
