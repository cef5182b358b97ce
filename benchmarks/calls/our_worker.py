"""OpenRTC: an agent registered in code; everything else comes from the command line and the environment."""

from __future__ import annotations

import agent
from stacks import watch_stacks

from openrtc import AgentPool

watch_stacks()
pool = AgentPool(stt=agent.Hearing, llm=agent.Thinking, tts=agent.Speaking)
pool.add("bench", agent.BenchAgent, session_options={"turn_handling": agent.turn_handling()})

if __name__ == "__main__":
    pool.run()
