"""What an agent says when its call is ended."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import AgentSession

from openrtc.session.greeting import can_say
from openrtc.session.models import has_realtime_model
from openrtc.session.unheard import is_held_back

TAIL_SECONDS = 0.3
"""How long after its last sound has been played it may still be on its way to the caller."""


async def say_goodbye(session: AgentSession[Any], words: str) -> None:
    """Break off what a session says, hear nobody any more, and say some last words; nothing without a voice.

    Args:
        session: A session that has started.
        words: The words.
    """
    session.interrupt(force=True)
    if session.input.audio is not None and session.input.audio_enabled:
        session.input.set_audio_enabled(False)
    if is_held_back(session):
        return  # nobody hears it
    if has_realtime_model(session.current_agent, session):
        # say() needs a TTS, which a realtime model replaces.
        speech = session.generate_reply(instructions=f"Say goodbye to the caller with these words: {words}")
    elif can_say(session):
        speech = session.say(words, allow_interruptions=False)
    else:
        return
    await speech.wait_for_playout()
    await asyncio.sleep(TAIL_SECONDS)
