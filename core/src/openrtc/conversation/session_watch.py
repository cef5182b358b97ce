"""`watch`: tells what happens in an ``AgentSession``, in plain values."""

from __future__ import annotations

import time
from collections.abc import Callable
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

from openrtc.conversation.calm_logs import ToldFailures
from openrtc.conversation.happenings import Called, Ended, Failed, HandedOver, Happening, Heard, Said
from openrtc.errors import one_line

_MODELS = {
    "llm_error": "the language model",
    "stt_error": "speech recognition",
    "tts_error": "speech synthesis",
    "realtime_model_error": "the realtime model",
}


class SessionWatch:
    """Tells what happens in a session.

    Args:
        session: The session; watched from now on.
        tell: Gets each happening, in order.
        failures: What was told here need not be logged, too.
    """

    def __init__(
        self, session: AgentSession[Any], tell: Callable[[Happening], None], failures: ToldFailures | None = None
    ) -> None:
        self._session = session
        self._tell = tell
        self._failures = failures or ToldFailures()
        self._raised: dict[str, str] = {}
        session.on("user_input_transcribed", self._transcribed)
        session.on("tool_execution_updated", self._tool_updated)
        session.on("function_tools_executed", self._called)
        session.on("conversation_item_added", self._added)
        session.on("error", self._failed)
        session.on("close", self._closed)

    def _transcribed(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final and event.transcript.strip():
            self._tell(Heard(event.transcript.strip(), time.monotonic()))

    def _tool_updated(self, event: ToolExecutionUpdatedEvent) -> None:
        # Only here livekit-agents tells what a tool raised; the model hears of "an internal error".
        update: Any = event.update
        if update.type == "tool_call_ended" and update.status == "error":
            self._raised[update.call_id] = update.message or ""

    def _called(self, event: FunctionToolsExecutedEvent) -> None:
        for call, output in event.zipped():
            raised = self._raised.pop(call.call_id, None)
            result = output.output if raised is None else self._failures.of_tool(call.name, raised)
            failed = raised is not None or output.is_error
            self._tell(Called(call.name, call.arguments, one_line(result, 2000), failed, time.monotonic()))

    def _added(self, event: ConversationItemAddedEvent) -> None:
        item: Any = event.item
        if item.type == "message" and item.role == "assistant" and (item.text_content or "").strip():
            self._tell(Said(item.text_content.strip(), time.monotonic()))
        elif item.type == "agent_handoff" and item.old_agent_id is not None:
            self._tell(HandedOver(type(self._session.current_agent).__name__, time.monotonic()))

    def _failed(self, event: ErrorEvent) -> None:
        error = getattr(event.error, "error", event.error)
        if getattr(event.error, "recoverable", False):
            return  # livekit-agents tries again
        if isinstance(error, BaseException):
            self._failures.add(error)
        model = _MODELS.get(getattr(event.error, "type", ""), "a model")
        self._tell(Failed(f"{model} failed: {describe_error(error)}", time.monotonic()))

    def _closed(self, event: CloseEvent) -> None:
        cause = getattr(event.error, "error", event.error)
        error = None if event.error is None else describe_error(cause)
        self._tell(Ended(error, time.monotonic()))


def describe_error(error: Any) -> str:
    """Return one line about an error, without the fields that livekit-agents' API errors carry for programs."""
    message = getattr(error, "message", "") or str(error) or type(error).__name__
    status = getattr(error, "status_code", -1)
    return one_line(f"{message} (HTTP {status})" if isinstance(status, int) and status > 0 else message)
