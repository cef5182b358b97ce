"""Models as a provider's plugin brings them, which fail in the first turn and work from the second on."""

from __future__ import annotations

from e2e.packages import Package

WHAT = {
    "call-raises": "raises in {call}",
    "call-exits": "raises SystemExit in {call}",
    "call-interrupts": "raises KeyboardInterrupt in {call}",
    "call-nothing": "returns None from {call}",
    "run-raises": "raises in its stream",
    "run-exits": "raises SystemExit in its stream",
    "run-interrupts": "raises KeyboardInterrupt in its stream",
    "dies": "dies half-way through its stream",
    "hangs": "hangs for ever in its stream",
    "wrong": "streams values of wrong types",
    "empty": "streams nothing",
}
CALL = {"llm": "chat()", "tts": "synthesize()", "stt": "stream()"}
MORE = {"tts": {"noise": "streams bytes that are no audio"}, "stt": {}, "llm": {}}


def faults_of(kind: str) -> dict[str, str]:
    """Return in words what a kind of model does, by the ending of the agent's name."""
    return {name: words.format(call=CALL[kind]) for name, words in (WHAT | MORE[kind]).items()}


SOURCE = """
import asyncio
import os

import numpy as np
from livekit.agents import Agent, llm, stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

ERRORS = {"raises": ValueError, "exits": SystemExit, "interrupts": KeyboardInterrupt}
RATE = 24_000


def fail(how):
    raise ERRORS[how]("no answer")


def sound(seconds):
    times = np.arange(round(RATE * seconds)) / RATE
    return (np.sin(2 * np.pi * 1100 * times) * 9000).astype(np.int16).tobytes()


class Fault:
    '''What goes wrong, once; "" afterwards.'''

    def __init__(self, what):
        self.what = what

    def called(self):
        kind, _, how = self.what.partition("-")
        if kind == "call":
            self.what = ""
            if how != "nothing":
                fail(how)
        return how == "nothing"

    def running(self):
        what, self.what = self.what, ""
        kind, _, how = what.partition("-")
        if kind == "run":
            fail(how)
        return what


class Chat(llm.LLMStream):
    def __init__(self, model, **more):
        super().__init__(model, **more)
        self.fault = model.fault

    async def _run(self):
        what = self.fault.running()
        if what == "hangs":
            await asyncio.Event().wait()
        if what == "wrong":
            for value in (42, "words", None, b"bytes"):
                self._event_ch.send_nowait(value)
        if what == "empty":
            return
        self.say("Let me ")
        if what == "dies":
            await asyncio.sleep(0.1)
            raise ConnectionResetError("the line broke")
        self.say("see.")

    def say(self, words):
        delta = llm.ChoiceDelta(role="assistant", content=words)
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


class FaultyLLM(llm.LLM):
    def __init__(self, what=""):
        super().__init__()
        self.fault = Fault(what)

    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        if self.fault.called():
            return None
        return Chat(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class ToolChat(Chat):
    async def _run(self):
        if any(item.type == "function_call_output" for item in self._chat_ctx.items) or not self._tools:
            self.say("That is all.")
            return
        call = llm.FunctionToolCall(name="look_up", arguments="{}", call_id="1")
        delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


class ToolCaller(FaultyLLM):
    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        return ToolChat(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Speech(tts.ChunkedStream):
    async def _run(self, output_emitter):
        what = self._tts.fault.running()
        noise = what == "noise"
        output_emitter.initialize(
            request_id="1", sample_rate=RATE, num_channels=1, mime_type="audio/mpeg" if noise else "audio/pcm"
        )
        if what == "hangs":
            await asyncio.Event().wait()
        if what == "empty":
            return
        if what == "wrong":
            output_emitter.push("words")
            output_emitter.push(None)
        if noise:
            output_emitter.push(os.urandom(20_001))
        else:
            output_emitter.push(sound(0.3))
        if what == "dies":
            output_emitter.flush()
            await asyncio.sleep(0.1)
            raise ConnectionResetError("the line broke")
        output_emitter.push(sound(0.3))
        output_emitter.flush()


class TonesTTS(tts.TTS):
    def __init__(self, what=""):
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)
        self.fault = Fault(what)

    def synthesize(self, text, *, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        if self.fault.called():
            return None
        return Speech(tts=self, input_text=text, conn_options=conn_options)


class Hearing(stt.RecognizeStream):
    async def _run(self):
        what = self._stt.fault.running()
        if what == "empty":
            return
        if what == "wrong":
            for value in (42, "words", None, stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT)):
                self._event_ch.send_nowait(value)
        if what == "hangs":
            await asyncio.Event().wait()
        if what == "dies":
            await asyncio.sleep(0.2)
            raise ConnectionResetError("the line broke")
        async for _ in self._input_ch:
            pass


class FaultySTT(stt.STT):
    def __init__(self, what=""):
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))
        self.fault = Fault(what)

    async def _recognize_impl(self, *args, **more):
        raise NotImplementedError

    def stream(self, *, language=None, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        if self.fault.called():
            return None
        return Hearing(stt=self, conn_options=conn_options)


class Talker(Agent):
    def __init__(self, **models):
        super().__init__(instructions="x", **models)

    async def on_enter(self):
        self.session.generate_reply(user_input="go")


def with_faulty(kind, what):
    class Faulty(Talker):
        def __init__(self):
            models = {"llm": FaultyLLM, "stt": FaultySTT, "tts": TonesTTS}
            super().__init__(**{name: model(what if name == kind else "") for name, model in models.items()})
    return Faulty


def __getattr__(name):
    kind, _, what = name.partition("_")
    if kind not in ("llm", "stt", "tts"):
        raise AttributeError(name)
    return with_faulty(kind, what.replace("_", "-"))
"""

FAULTY_MODELS = Package(
    name="faulty-models",
    modules={"faulty_models.py": SOURCE},
    agents={"talker": "faulty_models:llm_none"}
    | {f"{kind}-{what}": f"faulty_models:{kind}_{what.replace('-', '_')}" for kind in CALL for what in faults_of(kind)},
)
