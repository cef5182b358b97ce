"""`Call` and `WorkerInfo`: what an agent's factory and the hooks know of the call and of the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from openrtc.model.cast_member import CastMember, build_no_cast_error
from openrtc.model.decision import Decision
from openrtc.model.request import RouteRequest

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Metadata = TypeVar("Metadata", default=Any)
else:  # before 3.13, Python's own has no default
    from typing import TypeVar

    Metadata = TypeVar("Metadata")

Recorder = Callable[[str, str, Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Metadata]):
    """One call of one agent; free of LiveKit objects.

    ``Call[Order]`` is a call whose metadata is an ``Order``, as ``AgentSpec(metadata_model=Order)`` makes it.

    Args:
        job_id: LiveKit's id of the job.
        agent_name: Name of the agent that answers.
        request: What was known when the agent was chosen.
        decision: Why this agent was chosen.
        metadata: The dispatch's metadata without the keys that the routing reads: what the agent's ``metadata_model``
            makes of it; without one, the JSON object as a dictionary, an empty one where there is none.
        resources: The worker's shared resources by key; asking for one that failed raises `KeyError` with the reason.
        cast_member: What the agent's code can do as the member of a cast; None for a single agent.
        models: The session's models as ``{"stt": …, "llm": …, "tts": …}``, each a model string such as ``offline:``,
            a label such as ``instance of LLM``, or an empty string where the agent or session has none.
        ending: What `end` calls; None where there is nothing to end.
        recorder: Takes what `record` is given, after the name of who records; None where nothing is kept.
        recorded_by: Under whose name `record` records: the distribution of the plugin that was given this call.
    """

    job_id: str
    agent_name: str
    request: RouteRequest
    decision: Decision
    metadata: Metadata = field(default_factory=dict)  # type: ignore[assignment]  # where nothing better is known
    resources: Mapping[str, Any] = field(default_factory=dict)
    cast_member: CastMember | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    ending: Callable[[str, str | None], None] | None = field(default=None, repr=False, compare=False)
    recorder: Recorder | None = field(default=None, repr=False, compare=False)
    recorded_by: str = field(default="", compare=False)

    def record(self, key: str, value: Any) -> None:
        """Add a value to the call's ``call_ended`` event, in its ``records``, under the plugin's distribution.

        It may be called in any thread, also by what listens to the session, until ``openrtc_session_ended`` has
        returned; the event waits for that, for five seconds at most. It never raises: what cannot be kept is logged.

        Args:
            key: Its name, up to 100 characters; a further value of the same name takes the place of the first.
            value: A JSON value, such as ``0.25`` or ``{"usd": 0.25}``; all records of a call together have 32,000 bytes
                at most. It is written as it is, whatever ``[observe] words`` says.
        """
        if self.recorder is not None:
            self.recorder(self.recorded_by, key, value)

    @property
    def member(self) -> CastMember:
        """What the agent's code can do as the member of a cast.

        Raises:
            OpenRTCError: The call has one agent only.
        """
        if self.cast_member is None:
            raise build_no_cast_error("call.member")
        return self.cast_member

    def end(self, reason: str, goodbye: str | None = None) -> None:
        """End this call politely; may be called in any thread, and does not wait.

        What is being said is broken off for a sentence, then the call ends within 15 s, and its room with it. Once it
        is being ended, or over, nothing happens.

        Args:
            reason: Why, as the log and the event ``call_ended`` say it.
            goodbye: The sentence; None for the agent's ``goodbye`` or that of the settings, empty for none.
        """
        if self.ending is not None:
            self.ending(reason, goodbye)

    @property
    def room_name(self) -> str:
        """Name of the room."""
        return self.request.room_name


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """The worker that a hook runs in; free of LiveKit objects.

    Args:
        worker_id: The id that the LiveKit server gave it.
        agent_name: The agent name that it registered under; empty for automatic dispatch.
        isolation: ``coroutine``, ``thread`` or ``process``.
        max_sessions: How many sessions it takes at once.
        served: How many sessions it has started.
    """

    worker_id: str
    agent_name: str
    isolation: str
    max_sessions: int
    served: int
