"""openrtc 0.20.1, the peer: its coroutine mode with uvloop.

Its worker always loads the turn-detector plugin, whose model cannot be had offline: it is imported first and its
inference runner taken out. The voice activity detection that it would load through onnxruntime is replaced by the
one that every other worker here uses.
"""

from __future__ import annotations

import agent
import livekit.plugins.turn_detector.multilingual as turn_detector
import openrtc.runtime.prewarm as prewarm
from livekit.agents import inference
from livekit.agents.inference_runner import _InferenceRunner

from openrtc import AgentPool


class SameDetection:
    """Stands where the Silero plugin's module stands."""

    class VAD:
        """The same voice activity detection as in the other workers."""

        load = staticmethod(inference.VAD)


_InferenceRunner.registered_runners.clear()
prewarm._load_shared_runtime_dependencies = lambda: (SameDetection, turn_detector.MultilingualModel)

models = agent.models()
pool = AgentPool(
    agent_name=agent.NAME,
    default_stt=models["stt"],
    default_llm=models["llm"],
    default_tts=models["tts"],
    isolation="coroutine",
    max_concurrent_sessions=200,
)
pool.add("bench", agent.BenchAgent, session_kwargs={"turn_handling": agent.turn_handling()})
options = agent.start_options()
pool.server._port, pool.server._host = options["port"], options["host"]

if __name__ == "__main__":
    pool.run()
