"""The plugin: brings the resource ``vad``. Imports livekit only when the resource is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openrtc import ResourceSpec, hookimpl

if TYPE_CHECKING:
    from livekit.agents.vad import VAD


@hookimpl
def openrtc_resources() -> list[ResourceSpec]:
    """Bring ``vad``, the default voice activity detection of every session."""
    return [ResourceSpec(key="vad", load=load_vad)]


def load_vad() -> VAD:
    """Load the model that ships inside livekit-plugins-silero; every call opens its own stream on it."""
    from livekit.plugins import silero

    return silero.VAD.load()
