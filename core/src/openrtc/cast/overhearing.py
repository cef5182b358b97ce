"""`Overhearing`: how a member hears the voices of the others, where the cast says ``hears="audio"``."""

from __future__ import annotations

from livekit.agents import Agent, StopResponse
from livekit.agents.llm import ChatContext, ChatMessage

from openrtc.cast.line import Line
from openrtc.cast.listening import before_the_answer
from openrtc.cast.seat import Seat
from openrtc.cast.talk import Talk


class Overhearing:
    """Takes what a member recognises of the others; when it answers, the floor decides.

    Args:
        seat: The member that hears.
        talk: The talk.
    """

    def __init__(self, seat: Seat, talk: Talk) -> None:
        self._seat = seat
        self._talk = talk
        seat.session.on("conversation_item_added", lambda _: self.start(seat.session.current_agent))

    def start(self, agent: Agent) -> None:
        """Let the floor decide when the member's agent answers, unless it listens to people meanwhile."""
        if self._seat.hears_members:
            before_the_answer(agent, self._turn_completed, self._seat.heard.set)

    async def _turn_completed(self, chat: ChatContext, message: ChatMessage) -> None:
        # A realtime model has heard the turn itself.
        if not self._seat.realtime and (text := message.text_content):
            self._seat.hear(Line(self._speaker, text, message.created_at))
        self._seat.heard.set()
        raise StopResponse

    @property
    def _speaker(self) -> str:
        linked = self._seat.session.room_io.linked_participant
        return linked.name or linked.identity if linked else "Somebody"
