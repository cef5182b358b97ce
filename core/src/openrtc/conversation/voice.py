"""What a scripted caller says, as speech."""

from __future__ import annotations

from typing import Any

from livekit.agents import tts

from openrtc.conversation.sound import resample, trim
from openrtc.errors import OpenRTCError


async def synthesize(voice: tts.TTS[Any], text: str) -> bytes:
    """Return a sentence as speech, without the silence before and after it.

    Args:
        voice: Text-to-speech.
        text: The sentence.

    Raises:
        OpenRTCError: Nothing was to be heard.
    """
    stream = voice.synthesize(text)
    try:
        spoken = await stream.collect()
    finally:
        await stream.aclose()
    pcm = trim(resample(spoken))
    if not pcm:
        raise OpenRTCError(f"the voice {voice.label} made no sound of {text!r}")
    return pcm
