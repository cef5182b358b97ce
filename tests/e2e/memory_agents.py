"""A package with an agent that answers with all that it has heard in its call, and counts how often it was asked."""

from __future__ import annotations

from e2e.packages import Package

MEMORY_AGENTS = Package(
    name="memory-agents",
    modules={
        "memory_agents.py": """
            import os

            from livekit.agents import Agent, llm
            from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
            from openrtc import AgentSpec, Cast, Member


            class Recall(llm.LLM):
                def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **more):
                    print("asked the model", flush=True)
                    return RecallStream(self, chat_ctx=chat_ctx, tools=[], conn_options=conn_options)


            class RecallStream(llm.LLMStream):
                async def _run(self):
                    heard = [one.text_content for one in self.chat_ctx.items if getattr(one, "role", "") == "user"]
                    delta = llm.ChoiceDelta(role="assistant", content="I have heard " + ", and ".join(heard) + ".")
                    self._event_ch.send_nowait(llm.ChatChunk(id="x", delta=delta))


            class Memory(Agent):
                def __init__(self):
                    super().__init__(instructions="x", llm=Recall())


            MEMBERS = [Member(role="first", agent=Memory), Member(role="second", agent=Memory)]
            PAIR = AgentSpec(cast=Cast(members=MEMBERS, lead="first"))
        """
    },
    agents={"memory": "memory_agents:Memory", "pair": "memory_agents:PAIR"},
)
