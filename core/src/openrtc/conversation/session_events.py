"""`SessionWatch`: what happens in an ``AgentSession``, as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from livekit.agents import (
    AgentSession,
    CloseEvent,
    ConversationItemAddedEvent,
    ErrorEvent,
    FunctionToolsExecutedEvent,
    ToolExecutionUpdatedEvent,
    UserInputTranscribedEvent,
)

from openrtc.conversation.console_logging import ReportedErrors
from openrtc.errors import one_line

_RESULT_LIMIT = 2000
"""Characters of a tool's result that are kept: more than a screenful is no help to who reads along."""

_MODELS = {
    "llm_error": "the language model",
    "stt_error": "speech recognition",
    "tts_error": "speech synthesis",
    "realtime_model_error": "the realtime model",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller's words, as speech recognition understood them.

    Args:
        text: The words.
    """

    text: str


@dataclass(frozen=True, slots=True)
class ToolUsed:
    """A tool that the agent called.

    Args:
        tool: Its name.
        arguments: Its arguments, a JSON object as the language model wrote it.
        result: What it returned, or what went wrong.
        failed: Whether it raised.
    """

    tool: str
    arguments: str
    result: str
    failed: bool

    @property
    def signature(self) -> str:
        """The call as it would stand in Python: ``order_status(order_number=7)``."""
        try:
            values = json.loads(self.arguments or "{}")
        except ValueError:  # a language model wrote it
            values = None
        if not isinstance(values, dict):
            return f"{self.tool}({self.arguments})"
        return f"{self.tool}({', '.join(f'{name}={value!r}' for name, value in values.items())})"


@dataclass(frozen=True, slots=True)
class Said:
    """The agent's words.

    Args:
        text: The words.
    """

    text: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Another agent took over.

    Args:
        to: The class of that agent.
    """

    to: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A model of the session failed.

    Args:
        what: Which one, and why, in one line.
    """

    what: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The session was closed.

    Args:
        error: What went wrong, in one line; None when nothing did.
    """

    error: str | None


SessionEvent = Heard | ToolUsed | Said | HandedOver | Failed | Ended


class SessionWatch:
    """Reports what happens in a session.

    Args:
        session: The session; watched from now on.
        on_event: Gets each event, in order.
        errors: Gets the errors that were reported here, so that they are not logged as well.
    """

    def __init__(
        self,
        session: AgentSession[Any],
        on_event: Callable[[SessionEvent], None],
        errors: ReportedErrors | None = None,
    ) -> None:
        self._session = session
        self._on_event = on_event
        self._errors = errors or ReportedErrors()
        self._raised: dict[str, str] = {}
        session.on("user_input_transcribed", self._on_transcript)
        session.on("tool_execution_updated", self._on_tool_update)
        session.on("function_tools_executed", self._on_tools_executed)
        session.on("conversation_item_added", self._on_item)
        session.on("error", self._on_error)
        session.on("close", self._on_close)

    def _on_transcript(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final and event.transcript.strip():
            self._on_event(Heard(event.transcript.strip()))

    def _on_tool_update(self, event: ToolExecutionUpdatedEvent) -> None:
        # Only here livekit-agents says what a tool raised; the output that the model gets is "an internal error".
        update: Any = event.update
        if update.type == "tool_call_ended" and update.status == "error":
            self._raised[update.call_id] = update.message or ""

    def _on_tools_executed(self, event: FunctionToolsExecutedEvent) -> None:
        for call, output in event.zipped():
            raised = self._raised.pop(call.call_id, None)
            result = output.output if raised is None else self._errors.describe_tool_error(call.name, raised)
            failed = raised is not None or output.is_error
            self._on_event(ToolUsed(call.name, call.arguments, one_line(result, _RESULT_LIMIT), failed))

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item: Any = event.item
        if item.type == "message" and item.role == "assistant" and (item.text_content or "").strip():
            self._on_event(Said(item.text_content.strip()))
        elif item.type == "agent_handoff" and item.old_agent_id is not None:
            self._on_event(HandedOver(type(self._session.current_agent).__name__))

    def _on_error(self, event: ErrorEvent) -> None:
        error = getattr(event.error, "error", event.error)
        if getattr(event.error, "recoverable", False):
            return  # livekit-agents tries again
        if isinstance(error, BaseException):
            self._errors.add(error)
        model = _MODELS.get(getattr(event.error, "type", ""), "a model")
        self._on_event(Failed(f"{model} failed: {describe_model_error(error)}"))

    def _on_close(self, event: CloseEvent) -> None:
        cause = getattr(event.error, "error", event.error)
        error = None if event.error is None else describe_model_error(cause)
        self._on_event(Ended(error))


def describe_model_error(error: Any) -> str:
    """Return one line about an error, without the fields that livekit-agents' API errors carry for programs."""
    message = getattr(error, "message", "") or str(error) or type(error).__name__
    status = getattr(error, "status_code", -1)
    return one_line(f"{message} (HTTP {status})" if isinstance(status, int) and status > 0 else message)
