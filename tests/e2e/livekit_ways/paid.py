"""What stands in for the paid side of an agent: ears, a mind and a voice that do the same each time.

A caller says a sentence as a tone of its own, so that an agent hears exactly it; an agent speaks from recordings that
the test has made before, by whose tones the test knows what it hears.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livekit.agents import APIError, llm, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from e2e.cast_models import ToneSTT
from e2e.livekit_ways.ways import VOICE_FOLDER, recording_of
from e2e.pcm import RATE, read_wav

SENTENCES = [
    "what time do you open",
    "how is the weather",
    "please give me the manager",
    "my name is anna",
    "i want tea",
    "yes you may",
    "that is all",
    "where am i",
    "what do you see",
    "goodbye",
]
SAID = {sentence: 1000.0 + 200.0 * number for number, sentence in enumerate(SENTENCES)}
"""The tone of each sentence of a caller, in hertz."""


@dataclass(frozen=True)
class Use:
    """What a mind does instead of speaking: it calls a tool."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Ears(ToneSTT):
    """Hears which of the sentences a caller says."""

    def __init__(self) -> None:
        super().__init__(SAID)


class Mind(llm.LLM[str]):
    """Says what its instructions say after ``Say:``, else what a tool has returned, else what it has an answer for.

    Args:
        answers: What is said or done, by what was said last.
    """

    def __init__(self, answers: Mapping[str, str | Use] | None = None) -> None:
        super().__init__()
        self._answers = answers or {}

    def chat(self, *, chat_ctx: llm.ChatContext, tools: Any = None, **options: Any) -> llm.LLMStream:
        """Return the next words or tool call."""
        conn_options = options.get("conn_options", DEFAULT_API_CONNECT_OPTIONS)
        step = self._next_step(chat_ctx)
        return _Thought(self, step, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    def _next_step(self, chat_ctx: llm.ChatContext) -> str | Use:
        instructions = [item.text_content or "" for item in messages(chat_ctx, "system")]
        if told := re.search(r"Say: (.*)\Z", "\n".join(instructions)):
            return told[1]
        last = [item for item in chat_ctx.items if item.type in ("message", "function_call_output")][-1]
        if last.type == "function_call_output":
            return _text_of(last.output)
        said = str(messages(chat_ctx, "user")[-1].text_content).lower()
        return next(answer for sentence, answer in self._answers.items() if sentence in said)


def messages(chat_ctx: llm.ChatContext, role: str) -> list[llm.ChatMessage]:
    """Return what somebody has said in a conversation."""
    return [item for item in chat_ctx.items if item.type == "message" and item.role == role]


def _text_of(output: str) -> str:
    return str(json.loads(output)["text"]) if output.startswith("{") else output  # an MCP server's is JSON


class _Thought(llm.LLMStream):
    def __init__(self, mind: Mind, step: str | Use, **options: Any) -> None:
        super().__init__(mind, **options)
        self._step = step

    async def _run(self) -> None:
        await asyncio.sleep(0.02)
        if isinstance(self._step, str):
            delta = llm.ChoiceDelta(role="assistant", content=self._step)
        else:
            arguments = json.dumps(self._step.arguments)
            call = llm.FunctionToolCall(name=self._step.tool, arguments=arguments, call_id=utils.shortuuid("call_"))
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(llm.ChatChunk(id=utils.shortuuid(), delta=delta))


class Voice(tts.TTS[str]):
    """Speaks the sentences that were recorded."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> tts.ChunkedStream:
        """Return the recording."""
        return _Speech(tts=self, input_text=text, conn_options=conn_options)


class _Speech(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        path = recording_of(self._input_text, Path(os.environ[VOICE_FOLDER]))
        if not path.exists():
            raise APIError(f"nobody has recorded {self._input_text!r}", retryable=False)
        output_emitter.initialize(request_id=utils.shortuuid(), sample_rate=RATE, num_channels=1, mime_type="audio/pcm")
        output_emitter.push(read_wav(path).tobytes())
        output_emitter.flush()
