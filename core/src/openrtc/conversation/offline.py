"""The offline models of openrtc-offline, which the console, the demo and test calls use where nobody names others."""

from __future__ import annotations

from typing import Any

from openrtc.errors import OpenRTCError
from openrtc.install_commands import install_command
from openrtc.model.provider import ProviderContext
from openrtc.runtime.providers import OFFLINE, OFFLINE_DISTRIBUTION, OFFLINE_SCHEME, Providers


def models_fix() -> str:
    """Return what to do about an agent that lacks a model."""
    install = install_command(OFFLINE_DISTRIBUTION)
    return f"set it in the agent or under [defaults] in openrtc.toml; without keys: {install}"


def find_voice(providers: Providers) -> tuple[Any, str]:
    """Return the offline voice, a ``livekit.agents.tts.TTS``, or None and why there is none."""
    if problem := providers.why_unavailable(OFFLINE_SCHEME, "tts"):
        return None, problem
    try:
        return providers.build("tts", OFFLINE, ProviderContext(agent_name="caller", agent=None)), ""
    except OpenRTCError as error:
        return None, str(error)
