"""What a speech of a member was, and how its turn is told to the operator."""

from __future__ import annotations

import logging
import time
from typing import Any

from livekit.agents.llm import ChatMessage
from livekit.agents.voice import SpeechHandle

from openrtc.cast.turn import Turn
from openrtc.errors import OpenRTCError
from openrtc.observe.events import MemberSpoke
from openrtc.worker.live_call import LiveCall

logger = logging.getLogger("openrtc.cast")


def words_of(speech: SpeechHandle) -> list[str]:
    """Return what was said, as far as it was heard."""
    messages = (item for item in speech.chat_items if isinstance(item, ChatMessage) and item.role == "assistant")
    return [text for message in messages if (text := message.text_content)]


def time_of(speech: SpeechHandle) -> float:
    """Return when it began: a person who has cut it short has spoken later, although this is told later."""
    began = [item.created_at for item in speech.chat_items if isinstance(item, ChatMessage)]
    return min(began, default=time.time())


def is_silent(speech: SpeechHandle) -> bool:
    """Whether nothing was said and no tool was called."""
    return not any(getattr(item, "role", "") != "user" for item in speech.chat_items)


def tell_turn(live: LiveCall, role: str, turn: Turn) -> None:
    """Tell that a member has said something."""
    if turn.said:
        live.events.emit(
            MemberSpoke(
                **live.fields,
                member=role,
                cause=turn.cause,
                said=" ".join(turn.said),
                interrupted=turn.interrupted,
                seconds=round(time.monotonic() - turn.began, 3),
            )
        )


def tell_answer(live: LiveCall, role: str, turn: Turn, speech: SpeechHandle) -> None:
    """Tell that a member has answered a person."""
    measured: Any = next((item.metrics for item in speech.chat_items if isinstance(item, ChatMessage)), {})
    live.answered(
        turn.heard,
        end_of_turn_seconds=turn.end_of_turn,
        llm_ttft_seconds=measured.get("llm_node_ttft"),
        tts_ttfb_seconds=measured.get("tts_node_ttfb"),
        latency_seconds=turn.latency,
        member=role,
    )


def tell_failed_turn(live: LiveCall, role: str, why: str) -> None:
    """Tell that a member has failed to say something."""
    live.error("turn", OpenRTCError(f"its turn failed: {why}"), "", member=role)
    text = "agent %r: a turn of its member %r failed: %s"
    logger.error(text, live.agent, role, why, extra={**live.fields, "role": role})
