"""`SpokenLine`: a scripted caller and an agent that speak to each other without a server."""

from __future__ import annotations

from typing import Any

from livekit.agents import AgentSession, tts

from openrtc.conversation.loudspeaker import Loudspeaker
from openrtc.conversation.microphone import Microphone
from openrtc.conversation.voice import synthesize


class SpokenLine:
    """Connects a scripted caller with an agent by audio, in this process.

    Args:
        session: The agent's session; it has not started yet.
        voice: The caller's voice.
    """

    patience = 0.5

    def __init__(self, session: AgentSession[Any], voice: tts.TTS[Any]) -> None:
        self.microphone = Microphone()
        self.loudspeaker = Loudspeaker()
        self._voice = voice
        session.input.audio = self.microphone
        session.output.audio = self.loudspeaker

    async def say(self, question: str) -> float:
        """Speak a sentence."""
        return await self.microphone.say(await synthesize(self._voice, question))

    def first_answer_after(self, moment: float) -> float | None:
        """Return when the agent's voice was first heard after a moment."""
        return next((at for at in self.loudspeaker.heard_at if at >= moment), None)

    async def aclose(self) -> None:
        """Nothing to close: the session owns both ends."""
