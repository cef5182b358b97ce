"""The rule-based model inside a real `AgentSession`."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import Agent, AgentSession, RunContext, RunResult, ToolError, function_tool
from livekit.agents.llm import ChatContext, LLMStream

from openrtc_offline.rules.llm import RuleLLM, read_items


class Billing(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You answer questions about bills.")

    async def on_enter(self) -> None:
        self.session.generate_reply()

    @function_tool
    async def due_amount(self) -> str:
        """Tell the amount that is due."""
        return "Nine dollars are due."


class Desk(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You are a desk.")
        self.calls: list[tuple[str, Any]] = []

    @function_tool
    async def order_status(self, context: RunContext[Any], order_number: str) -> dict[str, Any]:
        """Tell where an order is."""
        self.calls.append(("order_status", order_number))
        return {"order": order_number, "state": "on its way"}

    @function_tool
    async def cancel_order(self) -> str:
        """Cancel an order."""
        self.calls.append(("cancel_order", None))
        raise ToolError("It has left already.")

    @function_tool
    async def billing(self) -> Agent:
        """Connect the caller to the billing department."""
        return Billing()


def spoken(result: Any) -> list[str]:
    items = [event.item for event in result.events if event.type == "message"]
    return [item.text_content for item in items if item.role == "assistant"]


async def session_with(agent: Agent) -> AgentSession[None]:
    session: AgentSession[None] = AgentSession(llm=RuleLLM("front-desk", agent))
    await session.start(agent)
    return session


async def ask(session: AgentSession[None], words: str) -> RunResult[Any]:
    result: RunResult[Any] = await session.run(user_input=words)
    return result


async def test_a_tool_is_called_with_what_was_said_and_its_result_is_spoken() -> None:
    desk = Desk()
    async with await session_with(desk) as session:
        result = await ask(session, "where is my order number four five six")
        assert desk.calls == [("order_status", "456")]
        assert spoken(result) == ["order is 456, state is on its way."]


async def test_a_missing_argument_is_asked_for_in_a_turn_of_its_own() -> None:
    desk = Desk()
    async with await session_with(desk) as session:
        asked = await ask(session, "What is the status of my order?")
        assert spoken(asked) == ["What is the order number, please?"] and desk.calls == []
        answered = await ask(session, "It is seven eight nine")
        assert spoken(answered) == ["order is 789, state is on its way."]
        assert desk.calls == [("order_status", "789")]


async def test_a_tools_error_is_an_apology_and_the_tool_is_not_tried_again() -> None:
    desk = Desk()
    async with await session_with(desk) as session:
        result = await ask(session, "please cancel my order")
        assert spoken(result) == ["Sorry, that did not work. It has left already."]
        assert desk.calls == [("cancel_order", None)]


async def test_after_a_hand_off_the_new_agents_tools_are_used() -> None:
    async with await session_with(Desk()) as session:
        handed = await ask(session, "connect me to billing please")
        assert isinstance(session.current_agent, Billing)
        assert spoken(handed) in ([], ["Hello, this is billing. How can I help you?"])
        result = await ask(session, "what amount is due")
        assert spoken(result)[-1] == "Nine dollars are due."


async def test_an_agent_that_speaks_first_greets() -> None:
    session: AgentSession[None] = AgentSession(llm=RuleLLM("billing"))
    async with session:
        await session.start(Billing())
        await asyncio.sleep(0.3)
        said = [item.text_content for item in session.history.items if item.type == "message"]
    assert said == ["Hello, this is billing. How can I help you?"]


async def test_words_are_streamed_one_by_one() -> None:
    context = ChatContext()
    context.add_message(role="user", content="hello")
    model = RuleLLM("my_shop")
    stream: LLMStream = model.chat(chat_ctx=context)
    deltas = [chunk.delta.content async for chunk in stream if chunk.delta]
    assert len(deltas) > 5 and "".join(word or "" for word in deltas) == "Hello, this is my shop. How can I help you?"


def test_the_agents_own_instructions_are_not_a_turn() -> None:
    session_context = ChatContext()
    session_context.add_message(role="system", content="Be kind.", id="lk.agent_task.instructions")
    session_context.add_message(role="user", content="hi")
    assert [turn.role for turn in read_items(session_context)] == ["user"]
