"""`Script`: a language model whose answers are written down before the call, for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from livekit.agents import llm, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions, NotGivenOr

from openrtc.errors import one_line
from openrtc.rehearsal.errors import ScriptError
from openrtc.suggest import did_you_mean


class ToolCall:
    """A call of a tool, as a scripted answer.

    Args:
        tool: The tool's name.
        **arguments: Its arguments, as JSON values.
    """

    def __init__(self, tool: str, /, **arguments: Any) -> None:
        self.tool = tool
        self.arguments = arguments

    def __repr__(self) -> str:
        given = (f"{name}={value!r}" for name, value in self.arguments.items())
        return f"ToolCall({', '.join([repr(self.tool), *given])})"


ScriptedAnswer = str | ToolCall | Sequence[str | ToolCall]
"""What the model answers when it is asked once: words, a tool's call, or several of these at once."""


class Script(llm.LLM[str]):
    """A language model that gives the answers of a list, one each time when it is asked.

    It is asked once for the words of a caller, and once more for the result of each tool; also for an ``on_enter``
    that calls ``generate_reply``. What it was not written for raises `ScriptError`.

    Args:
        answers: The answers, in order.
        whose: Whose script it is, for errors: the role of a member of a cast; empty for a single agent.
    """

    def __init__(self, answers: Sequence[ScriptedAnswer], whose: str = "") -> None:
        super().__init__()
        if isinstance(answers, str | ToolCall):
            raise ScriptError(f"the script is {answers!r:.60}, not a list of answers", fix="write it in brackets: […]")
        self._answers = [_check_answer(one) for one in answers]
        self._whose = f" of {whose!r}" if whose else ""
        self._given = 0
        self.failure: ScriptError | None = None
        """What it did not foresee, if anything."""

    @property
    def model(self) -> str:
        """Name of the model."""
        return "script"

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return "openrtc"

    @property
    def left(self) -> tuple[str, ...]:
        """The answers that were not asked for, as they would be written."""
        return tuple(repr(one[0] if len(one) == 1 else list(one)) for one in self._answers[self._given :])

    def extend(self, answers: Sequence[ScriptedAnswer]) -> None:
        """Add answers, as for a further turn."""
        self._answers += [_check_answer(one) for one in answers]

    def check_complete(self) -> None:
        """Check that every answer was asked for.

        Raises:
            ScriptError: Some were not.
        """
        if self.failure:
            raise self.failure
        if self.left:
            left = one_line(", ".join(self.left), 200)
            raise ScriptError(
                f"the script{self._whose} has answers that the call never asked for: {left}",
                fix="take them out, or say in the test what leads to them",
            )

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
        """Return the next answer as a stream."""
        answer = self._take(chat_ctx, [name for tool in tools or () if (name := _get_name(tool))])
        return _ScriptStream(self, answer, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    def _take(self, chat_ctx: llm.ChatContext, tools: Sequence[str]) -> Sequence[str | ToolCall] | ScriptError:
        if self._given == len(self._answers):
            return self._fail(
                f"the script{self._whose} has {_count(self._given, 'answer')}, and the model was asked once more: "
                f"{_describe_last(chat_ctx)}",
                fix="add the answer to the script",
            )
        answer = self._answers[self._given]
        self._given += 1
        for one in answer:
            if isinstance(one, ToolCall) and one.tool not in tools:
                known = f"it has: {', '.join(tools)}" if tools else "it has none"
                message = f"answer {self._given} of the script{self._whose} calls the tool {one.tool!r}, which the "
                return self._fail(f"{message}agent does not have", fix=did_you_mean(one.tool, tools, known))
        return answer

    def _fail(self, message: str, fix: str) -> ScriptError:
        self.failure = self.failure or ScriptError(message, fix=fix)
        return self.failure


class _ScriptStream(llm.LLMStream):
    def __init__(self, model: Script, answer: Sequence[str | ToolCall] | ScriptError, **options: Any) -> None:
        super().__init__(model, **options)
        self._answer = answer

    async def _run(self) -> None:
        if isinstance(self._answer, ScriptError):
            raise self._answer
        request_id = utils.shortuuid("script_")
        for one in self._answer:
            self._event_ch.send_nowait(llm.ChatChunk(id=request_id, delta=_build_delta(one)))


def _build_delta(one: str | ToolCall) -> llm.ChoiceDelta:
    if isinstance(one, str):
        return llm.ChoiceDelta(role="assistant", content=one)
    call = llm.FunctionToolCall(name=one.tool, arguments=json.dumps(one.arguments), call_id=utils.shortuuid("call_"))
    return llm.ChoiceDelta(role="assistant", tool_calls=[call])


def _check_answer(answer: ScriptedAnswer) -> Sequence[str | ToolCall]:
    parts: Any = [answer] if isinstance(answer, str | ToolCall) else answer
    if isinstance(parts, Mapping) or not isinstance(parts, Sequence):
        raise _build_type_error(answer)
    for one in parts:
        if isinstance(one, ToolCall):
            _check_json(one)
        elif not isinstance(one, str):
            raise _build_type_error(one)
    return parts


def _check_json(call: ToolCall) -> None:
    try:
        json.dumps(call.arguments)
    except (TypeError, ValueError) as error:
        raise ScriptError(f"{call!r:.100} has an argument that is no JSON value: {error}") from None


def _build_type_error(given: object) -> ScriptError:
    fix = 'write words, ToolCall("order_status", order_number=7), or a list of these'
    return ScriptError(f"an answer of the script is {given!r:.60}", fix=fix)


def _get_name(tool: Any) -> str:
    return str(getattr(getattr(tool, "info", None), "name", "") or "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number or 'no'} {what}s"


def _describe_last(chat_ctx: llm.ChatContext) -> str:
    """Return what the model was asked to answer, in a few words."""
    for item in reversed(chat_ctx.items):
        if item.type == "function_call_output":
            return f"for the result of {item.name}, {one_line(item.output, 100)!r}"
        if item.type == "message" and item.role == "user":
            return f"for {one_line(item.text_content or '', 100)!r}"
        if item.type == "message" and not item.id.startswith("lk."):
            return f"for the instructions {one_line(item.text_content or '', 100)!r}"
    return "before the caller had said anything"
