"""Which way the demo takes: a given server, a server on this machine, speech without a server, or text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from openrtc.config import WorkerSettings
from openrtc.errors import OpenRTCError
from openrtc.providers.provider import ProviderContext
from openrtc.providers.providers import OFFLINE, Providers
from openrtc.server.find import find_server

INSTALL_OFFLINE = 'pip install "openrtc-offline[espeak]"'
INSTALL_SERVER = "install openrtc-livekit-server"


class Way(Enum):
    """How callers and agents talk with each other."""

    GIVEN_SERVER = "given server"
    LOCAL_SERVER = "local server"
    SPOKEN = "spoken"
    TEXT = "text"

    @property
    def in_rooms(self) -> bool:
        """Whether there are real rooms on a LiveKit server."""
        return self in (Way.GIVEN_SERVER, Way.LOCAL_SERVER)


@dataclass(frozen=True, slots=True)
class Choice:
    """The way that the demo takes.

    Args:
        way: The way.
        because: What it is and why, in one line.
        better: How to get the next better one, in one line; empty when this is the best.
        voice: The callers' voice, a ``livekit.agents.tts.TTS``; None in text.
    """

    way: Way
    because: str
    better: str = ""
    voice: Any = None


def choose_way(settings: WorkerSettings, providers: Providers, *, text: bool) -> Choice:
    """Return the way to take.

    Args:
        settings: Where the LiveKit server is, if one was given.
        providers: Who builds voices.
        text: Whether text was asked for.
    """
    if text:
        return Choice(Way.TEXT, "in text, as asked for by --text", "without --text the callers speak")
    voice, silent = find_voice(providers)
    if voice is None:
        return Choice(Way.TEXT, f"in text, since the callers have no voice: {silent}", f"to speak: {INSTALL_OFFLINE}")
    if settings.url and settings.api_key and settings.api_secret:
        return Choice(Way.GIVEN_SERVER, f"spoken, in real rooms on {settings.url}", voice=voice)
    if find_server() is not None:
        given = "set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET to call through your own server"
        return Choice(Way.LOCAL_SERVER, "spoken, in real rooms on a LiveKit server of this machine", given, voice)
    return Choice(
        Way.SPOKEN,
        "spoken, without a server: there is no livekit-server on this machine and LIVEKIT_URL is not set",
        f"for real rooms: {INSTALL_SERVER}, put livekit-server on the PATH, or set LIVEKIT_URL",
        voice,
    )


def find_voice(providers: Providers) -> tuple[Any, str]:
    """Return the callers' voice, or None and why there is none."""
    problem = providers.why_unavailable(OFFLINE.rstrip(":"))
    if problem:
        return None, problem
    try:
        return providers.build("tts", OFFLINE, ProviderContext(agent_name="caller", agent=None)), ""
    except OpenRTCError as error:
        return None, str(error)
