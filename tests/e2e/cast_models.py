"""Models for casts in tests: each member speaks in a tone of its own, and what people say is known by their tone."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import APIError, llm, stt, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN

from e2e.energy import LOUD
from e2e.tones import whose_tone

RATE = 16_000
SECONDS_A_WORD = 0.1
QUIET_SECONDS = 0.3
PEOPLE = {"hello there": 1500.0, "driver where are you": 2000.0, "porter please": 2600.0}
"""What a person says with each tone."""
VOICES = {"the voice of Tim": 440.0, "the voice of Chris": 700.0, "the voice of Pat": 1100.0}
"""What is recognised of each member, where members hear each other by ear."""
KNOWN = PEOPLE | VOICES

TO_ONE, TO_ALL = r"\b{name}\W+(\w+)\(([^)]*)\)", r"\b(\w+)\[([^\]]*)\]"
"""How a tool is called in words: by name, as in ``Tim wait(3)``, or within such a call, as in ``wait[3]``."""


class ToneTTS(tts.TTS[str]):
    """Speaks in one tone, as long as the words take.

    Args:
        frequency: In hertz.
    """

    def __init__(self, frequency: float) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)
        self.frequency = frequency

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> tts.ChunkedStream:
        """Return the tone."""
        return _ToneStream(tts=self, input_text=text, conn_options=conn_options)


class _ToneStream(tts.ChunkedStream):
    def __init__(self, *, tts: ToneTTS, **options: Any) -> None:
        super().__init__(tts=tts, **options)
        self._frequency = tts.frequency

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(request_id=utils.shortuuid(), sample_rate=RATE, num_channels=1, mime_type="audio/pcm")
        seconds = SECONDS_A_WORD * len(self._input_text.split())
        times = np.arange(round(seconds * RATE)) / RATE
        output_emitter.push((np.sin(2 * np.pi * self._frequency * times) * 9000).astype(np.int16).tobytes())
        output_emitter.flush()


class ToneSTT(stt.STT[str]):
    """Tells what a person's tone stands for; knows when speech begins and ends by its loudness.

    Args:
        known: The frequency, in hertz, of each sentence.
    """

    def __init__(self, known: Mapping[str, float] = KNOWN) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.known = known

    async def _recognize_impl(self, *args: Any, **options: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(self, *, language: Any = NOT_GIVEN, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> Any:
        """Return a stream."""
        return _ToneListener(stt=self, conn_options=conn_options, sample_rate=RATE)


class _ToneListener(stt.RecognizeStream):
    def __init__(self, *, stt: ToneSTT, **options: Any) -> None:
        super().__init__(stt=stt, **options)
        self._known = stt.known

    async def _run(self) -> None:
        words, quiet = "", 0.0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            sound = np.frombuffer(frame.data, np.int16)
            if np.sqrt(np.mean(sound.astype(np.float64) ** 2)) >= LOUD:
                quiet = 0.0
                if not words:
                    self._tell(stt.SpeechEventType.START_OF_SPEECH)
                    words = "?"
                if words == "?" and (said := whose_tone(sound, self._known)) in self._known:
                    words = str(said)
                    self._tell(stt.SpeechEventType.INTERIM_TRANSCRIPT, words)
            elif words:
                quiet += frame.duration
                if quiet >= QUIET_SECONDS:
                    if words != "?":
                        self._tell(stt.SpeechEventType.FINAL_TRANSCRIPT, words)
                    self._tell(stt.SpeechEventType.END_OF_SPEECH)
                    words = ""

    def _tell(self, kind: stt.SpeechEventType, text: str = "") -> None:
        alternatives = [stt.SpeechData(language="en", text=text, confidence=1.0)] if text else []  # type: ignore[arg-type]
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=alternatives))


class BrokenSTT(ToneSTT):
    """Fails whenever it hears anybody."""

    def stream(self, *, language: Any = NOT_GIVEN, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> Any:
        """Return a stream."""
        return _BrokenListener(stt=self, conn_options=conn_options, sample_rate=RATE)


class _BrokenListener(_ToneListener):
    def _tell(self, kind: stt.SpeechEventType, text: str = "") -> None:
        raise APIError("the recogniser is broken", retryable=False)


class TalkLLM(llm.LLM[str]):
    """Does what it is told: calls a tool, fails when told "NAME break down", else counts its lines.

    Args:
        name: What it calls itself.
        role: What others may call it, too.
    """

    def __init__(self, name: str, role: str) -> None:
        super().__init__()
        self._name = name
        self._called = f"(?:{name}|{role})"
        self._lines = 0

    def chat(self, *, chat_ctx: llm.ChatContext, tools: Any = None, **options: Any) -> llm.LLMStream:
        """Return the next words or tool call."""
        conn_options = options.get("conn_options", DEFAULT_API_CONNECT_OPTIONS)
        said = [item for item in chat_ctx.items if item.type in ("message", "function_call_output")]
        last = said[-1] if said else None
        text = getattr(last, "text_content", None) or ""
        if last is not None and last.type == "function_call_output":
            step: str | tuple[str, list[str]] = f"{self._name} was told {last.output}"
        elif f"{self._name} break down" in text:
            raise LookupError(f"{self._name} is broken")
        elif call := _call_in(text, self._called):
            step = call
        else:
            self._lines += 1
            speaker = re.match(r"\[(\w+)\]", text)
            # A whole name would address its bearer.
            heard = " by ear" if "the voice of" in text else ""
            step = f"{self._name} speaks line {self._lines} and answers {speaker[1][:2] if speaker else 'you'}{heard}"
        return _TalkStream(self, step, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


def _call_in(text: str, name: str) -> tuple[str, list[str]] | None:
    for pattern, between in ((TO_ONE.format(name=name), ","), (TO_ALL, ";")):
        if found := re.search(pattern, text):
            return found[1], [argument.strip() for argument in found[2].split(between) if argument.strip()]
    return None


class _TalkStream(llm.LLMStream):
    def __init__(self, model: TalkLLM, step: str | tuple[str, list[str]], **options: Any) -> None:
        super().__init__(model, **options)
        self._step = step

    async def _run(self) -> None:
        await asyncio.sleep(0.02)
        if isinstance(self._step, str):
            delta = llm.ChoiceDelta(role="assistant", content=self._step)
        else:
            name, arguments = self._step
            call = llm.FunctionToolCall(
                name=name, arguments=json.dumps({"words": arguments}), call_id=utils.shortuuid("call_")
            )
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(llm.ChatChunk(id=utils.shortuuid(), delta=delta))
        read = sum(len(getattr(item, "text_content", None) or "") for item in self.chat_ctx.items)
        usage = llm.CompletionUsage(completion_tokens=7, prompt_tokens=read, total_tokens=read + 7)
        self._event_ch.send_nowait(llm.ChatChunk(id=utils.shortuuid(), usage=usage))
