"""`RuleLLM`: a language model without a model. It calls the agent's own tools by rules and speaks their results."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

from livekit.agents import Agent, llm, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions, NotGivenOr

from openrtc_offline.current_agent import CurrentAgent
from openrtc_offline.rules.conversation import CallTool, Conversation, ConversationItem, Say, cut_text
from openrtc_offline.toolbox import describe_tools, split_identifier


class RuleLLM(llm.LLM[str]):
    """Chooses among the agent's function tools by their names and docstrings, and fills their arguments.

    Args:
        name: The agent's name; it names itself so in greetings.
        agent: The agent that the session starts with; with it, one that takes over names itself.
    """

    def __init__(self, name: str = "assistant", agent: Agent | None = None) -> None:
        super().__init__()
        self._current = CurrentAgent(agent, name)

    @property
    def model(self) -> str:
        """Name of the model."""
        return "rules"

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return "offline"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        """Return the next reply or tool call as a stream of words."""
        conversation = Conversation(
            name=split_identifier(self._current.name),
            tools=describe_tools(tools or ()),
            items=read_items(chat_ctx),
            today=date.today(),
            tool_choice=_read_tool_choice(tool_choice),
        )
        return _RuleStream(self, conversation, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _RuleStream(llm.LLMStream):
    def __init__(self, model: RuleLLM, conversation: Conversation, **options: Any) -> None:
        super().__init__(model, **options)
        self._conversation = conversation

    async def _run(self) -> None:
        request_id = utils.shortuuid("rules_")
        for delta in _build_deltas(self._conversation.next_step()):
            self._event_ch.send_nowait(llm.ChatChunk(id=request_id, delta=delta))


def read_items(chat_ctx: llm.ChatContext) -> tuple[ConversationItem, ...]:
    """Return what was said and what tools returned; of system messages only those for the next reply."""
    items: list[ConversationItem] = []
    for one in chat_ctx.items:
        if one.type == "message" and one.role in ("user", "assistant"):
            items.append(ConversationItem(one.role, cut_text(one.text_content or "")))
        elif one.type == "message" and not one.id.startswith("lk."):  # those are the agent's standing instructions
            items.append(ConversationItem("instructions", cut_text(one.text_content or "")))
        elif one.type == "function_call_output":
            items.append(ConversationItem("output", cut_text(one.output), one.is_error))
    return tuple(item for item in items if item.text or item.role == "output")


def _build_deltas(step: Say | CallTool) -> list[llm.ChoiceDelta]:
    if isinstance(step, Say):
        # Word by word, as a model would stream it: the TTS begins with the first sentence.
        return [llm.ChoiceDelta(role="assistant", content=word) for word in re.findall(r"\s*\S+", step.text)]
    call = llm.FunctionToolCall(name=step.name, arguments=json.dumps(step.arguments), call_id=utils.shortuuid("call_"))
    return [llm.ChoiceDelta(role="assistant", tool_calls=[call])]


def _read_tool_choice(tool_choice: NotGivenOr[llm.ToolChoice]) -> str:
    if isinstance(tool_choice, dict):
        return str(tool_choice["function"]["name"])
    return tool_choice if isinstance(tool_choice, str) else "auto"
