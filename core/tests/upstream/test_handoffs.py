"""Contract with livekit-agents: each agent that a session changes to is told before anything of it runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, AgentTask, RunContext, function_tool, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from openrtc.upstream import handoffs
from openrtc.upstream.handoffs import is_closing, watch_agents
from waiting import wait_until


class CallsTools(llm.LLM[str]):
    """Calls the tool that the user names."""

    def chat(self, *, chat_ctx: llm.ChatContext, tools: Any = None, **options: Any) -> llm.LLMStream:
        return _Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=DEFAULT_API_CONNECT_OPTIONS)


class _Stream(llm.LLMStream):
    async def _run(self) -> None:
        last = self._chat_ctx.items[-1]
        if last.type == "message" and last.role == "user":
            call = llm.FunctionToolCall(name=last.text_content or "", arguments="{}", call_id=last.id)
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        else:
            delta = llm.ChoiceDelta(role="assistant", content="done")
        self._event_ch.send_nowait(llm.ChatChunk(id="x", delta=delta))


class Named(Agent):
    def __init__(self, name: str, seen: list[str]) -> None:
        super().__init__(instructions="x", id=name)
        self.seen = seen

    async def on_enter(self) -> None:
        self.seen.append(f"{self.id} enters")


class Ask(AgentTask[str]):
    def __init__(self, name: str, seen: list[str], inner: Ask | None = None) -> None:
        super().__init__(instructions="x")
        self._id, self.seen, self.inner = name, seen, inner

    async def on_enter(self) -> None:
        self.seen.append(f"{self.id} enters")
        self.complete(await self.inner if self.inner else "yes")


class First(Named):
    @function_tool
    async def transfer(self) -> Agent:
        """Transfer."""
        return Named("returned", self.seen)

    @function_tool
    async def ask(self, context: RunContext[Any]) -> str:
        """Ask."""
        return await Ask("task", self.seen, Ask("nested", self.seen))


async def start(seen: list[str]) -> AgentSession[Any]:
    session: AgentSession[Any] = AgentSession(llm=CallsTools(), vad=None, turn_handling={"turn_detection": "manual"})
    watch_agents(
        session,
        lambda agent: seen.append(f"{agent.id} is next"),
        lambda agent, error: seen.append(f"{agent.id}: {error}"),
    )
    await session.start(First("first", seen))
    return session


async def until(seen: list[str], line: str) -> None:
    await wait_until(lambda: line in seen, 5.0)


async def test_each_agent_is_told_before_it_enters() -> None:
    seen: list[str] = []
    session = await start(seen)
    await until(seen, "first enters")
    session.generate_reply(user_input="ask")
    await until(seen, "nested enters")
    await asyncio.sleep(0.1)  # back to the first one, which is not told again
    session.generate_reply(user_input="transfer")
    await until(seen, "returned enters")
    session.update_agent(Named("updated", seen))
    await until(seen, "updated enters")
    assert seen == [f"{name} {what}" for name in ("first", "task", "nested", "returned", "updated") for what in WHAT]
    await session.aclose()


WHAT = ("is next", "enters")


async def test_an_agent_that_cannot_take_over_is_told() -> None:
    seen, more = list[str](), list[str]()
    shared = Named("shared", seen)
    one, other = await start(seen), await start(more)
    one.update_agent(shared)
    await until(seen, "shared enters")
    other.update_agent(shared)
    await until(more, "shared: cannot start agent: an activity is already running")
    assert not any("cannot" in line for line in seen)
    await asyncio.gather(one.aclose(), other.aclose())


async def test_it_is_told_that_a_session_closes() -> None:
    session = await start([])
    assert not is_closing(session)
    session.shutdown()
    assert is_closing(session)
    await session.aclose()


async def test_with_another_livekit_agents_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handoffs, "find_changes", lambda part: {part: "x"})
    seen: list[str] = []
    session = await start(seen)
    await until(seen, "first enters")
    session.shutdown()
    assert seen == ["first enters"] and not is_closing(session)
    await session.aclose()
