"""`MemberTurn` and `HeardLine`: why a member has the floor, what others hear of it, and how it is reported."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from livekit.agents.llm import ChatItem, ChatMessage
from livekit.agents.voice import SpeechHandle

from openrtc.errors import OpenRTCError
from openrtc.observe.events import MemberSpoke
from openrtc.runtime.live_call import LiveCall

logger = logging.getLogger("openrtc.cast")

Cause = Literal["opening", "person", "member", "asked", "sent", "handed_over", "itself"]
"""Why a member speaks, as in `MemberSpoke`; ``itself``: its own code began, by ``on_enter``, a tool or a task."""


@dataclass(slots=True, eq=False)
class MemberTurn:
    """One turn of a member.

    Args:
        cause: Why it speaks.
        heard: What a person has said, where that is answered.
        silent_since: When the person had fallen silent, in seconds since the epoch, if that is known.
        end_of_turn: Seconds from then until the person's turn was taken to be over.
        tried: Roles of the members that could not answer the person.
        answer: Gets what is answered, where somebody waits for it.
        asker: Role of the member that asked.
        began: When it got the floor, on the monotonic clock.
        first_sound: When it was first heard, in seconds since the epoch.
        said: What it has said, as far as it was heard.
        items: What it has said and done, as livekit-agents has it.
        interrupted: Whether it was cut short.
    """

    cause: Cause
    heard: str = ""
    silent_since: float | None = None
    end_of_turn: float | None = None
    tried: tuple[str, ...] = ()
    answer: asyncio.Future[str] | None = None
    asker: str = ""
    began: float = field(default_factory=time.monotonic)
    first_sound: float | None = None
    said: list[str] = field(default_factory=list)
    items: list[ChatItem] = field(default_factory=list)
    interrupted: bool = False

    @property
    def text(self) -> str:
        """All that it has said, as far as it was heard."""
        return " ".join(self.said)

    @property
    def latency(self) -> float | None:
        """Seconds from the end of the person's speech to the first sound."""
        if self.first_sound is None or self.silent_since is None:
            return None
        return max(0.0, self.first_sound - self.silent_since)

    def resolve_answer(self) -> None:
        """Give whoever asked the answer, if anybody still waits for it."""
        if self.answer and not self.answer.done():
            self.answer.set_result(self.text)

    def fail_answer(self, reason: str) -> None:
        """Raise an error in whoever asked, if anybody still waits for the answer."""
        if self.answer and not self.answer.done():
            self.answer.set_exception(OpenRTCError(reason, origin="ask()"))


@dataclass(frozen=True, slots=True)
class HeardLine:
    """What somebody has said, as a member hears it.

    Args:
        speaker: The name by which the members know who said it; empty for a remark, such as who has left.
        text: The words.
        at: When it was said, in seconds since the epoch.
        verbatim: Whether the member reads the bare words: a person said them to it.
    """

    speaker: str
    text: str
    at: float = field(default_factory=time.time)
    verbatim: bool = False

    @property
    def tagged(self) -> str:
        """The line as a language model reads it."""
        if self.verbatim:
            return self.text
        return f"[{self.speaker}] {self.text}" if self.speaker else f"({self.text})"


def get_spoken_text(speech: SpeechHandle) -> str:
    """Return what was said, as far as it was heard."""
    messages = (item for item in speech.chat_items if isinstance(item, ChatMessage) and item.role == "assistant")
    return " ".join(text for message in messages if (text := message.text_content)).strip()


def get_start_time(speech: SpeechHandle) -> float:
    """Return when a speech began, in seconds since the epoch.

    A speech is reported when it ends. A person who has cut it short spoke later than it began, so that members who
    read their lines in the order of these times read the person's words last.
    """
    return min((item.created_at for item in speech.chat_items if isinstance(item, ChatMessage)), default=time.time())


def is_silent(speech: SpeechHandle) -> bool:
    """Whether nothing was said and no tool was called."""
    return not any(getattr(item, "role", "") != "user" for item in speech.chat_items)


def emit_member_spoke(live: LiveCall, role: str, turn: MemberTurn) -> None:
    """Emit that a member has said something, if it has."""
    if turn.said:
        live.events.emit(
            MemberSpoke(
                **live.fields,
                member=role,
                cause=turn.cause,
                interrupted=turn.interrupted,
                seconds=round(time.monotonic() - turn.began, 3),
            )
        )


def emit_turn(live: LiveCall, role: str, turn: MemberTurn, speech: SpeechHandle) -> None:
    """Emit what a member has said, and heard where it has answered a person; with what livekit-agents has measured."""
    if turn.cause != "person":
        if turn.said:
            live.emit_turn("", turn.text, interrupted=turn.interrupted, answered=False, member=role)
        return
    measured: Any = next((item.metrics for item in speech.chat_items if isinstance(item, ChatMessage)), {})
    live.emit_turn(
        turn.heard,
        turn.text,
        interrupted=turn.interrupted,
        end_of_turn_seconds=turn.end_of_turn,
        llm_ttft_seconds=measured.get("llm_node_ttft"),
        tts_ttfb_seconds=measured.get("tts_node_ttfb"),
        latency_seconds=turn.latency,
        member=role,
    )


def report_failed_turn(live: LiveCall, role: str, why: str) -> None:
    """Emit and log that a member could not say something."""
    live.emit_error("turn", OpenRTCError(why), "", member=role)
    text = "agent %r: a turn of its member %r failed: %s"
    logger.error(text, live.agent, role, why, extra={**live.fields, "role": role})
