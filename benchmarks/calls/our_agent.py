"""OpenRTC: an installed agent; everything else comes from the command line and the environment."""

from __future__ import annotations

import agent
from stacks import watch_stacks

from openrtc import AgentSpec

watch_stacks()
bench = AgentSpec(
    agent=agent.BenchAgent,
    stt=agent.Hearing,
    llm=agent.Thinking,
    tts=agent.Speaking,
    session_options={"turn_handling": agent.turn_handling()},
)
