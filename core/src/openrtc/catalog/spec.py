"""`AgentSpec`: how to build one agent and its session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openrtc.catalog.isolation import ATTRIBUTE, checked_isolation

if TYPE_CHECKING:
    from livekit.agents import JobContext

    from openrtc.cast.declaration import Cast

_OF_MEMBERS = ("stt", "llm", "tts", "vad", "turn_detection", "greeting", "session_options", "room_options")
"""What a cast's members have, each for itself."""


@dataclass(frozen=True, kw_only=True)
class AgentSpec:
    """How to build one agent and the session it speaks in.

    A model (``stt``, ``llm``, ``tts``) is a string (``"openai/gpt-4.1-mini"``, ``"offline:"``) or a callable without
    arguments that returns a fresh instance for every session: an instance shared by calls would keep the HTTP
    session of the first call, which closes with it.

    Args:
        agent: An ``Agent`` subclass, or a sync or async factory that takes nothing or one `Call` and returns an
            ``Agent``. Built anew for every session.
        name: The agent's name. An entry point's own name replaces it.
        entrypoint: Instead of ``agent``, a plain LiveKit entrypoint; it starts its own session.
        cast: Instead of ``agent``, several agents in one room; their models and greetings stand in their own specs.
        display_name: The name that other participants see; the agent's name when empty.
        summary: One line for lists.
        stt: Speech-to-text model.
        llm: Language model, or a realtime model.
        tts: Text-to-speech model.
        vad: Voice activity detection; by default the resource ``vad``.
        turn_detection: Turn detection; by default the resource ``turn_detection``.
        greeting: Said when the session starts.
        session_options: Further keyword arguments of ``AgentSession``.
        room_options: ``RoomOptions`` of livekit-agents for ``AgentSession.start``.
        resources: Keys of the resources without which this agent cannot serve.
        max_sessions: How many sessions of this agent the worker takes at once; None means as many as it has slots.
        examples: Sentences that a caller may say to this agent; the demo and the offline models use them.
        isolation: ``thread`` or ``process`` for an agent that blocks: its calls get one each, also where the others
            share one loop; by default the attribute ``openrtc_isolation`` of the class or factory, if it has one.
    """

    agent: Callable[..., Any] | None = None
    name: str = ""
    entrypoint: Callable[[JobContext], Awaitable[None]] | None = None
    cast: Cast | None = None
    display_name: str = ""
    summary: str = ""
    stt: Any = None
    llm: Any = None
    tts: Any = None
    vad: Any = None
    turn_detection: Any = None
    greeting: str = ""
    session_options: Mapping[str, Any] = field(default_factory=dict)
    room_options: Any = None
    resources: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    max_sessions: int | None = None
    isolation: str = ""

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.agent, self.entrypoint, self.cast)) != 1:
            raise TypeError("AgentSpec needs one of agent=, entrypoint= and cast=")
        if self.cast is not None:
            self._check_cast()
        if self.max_sessions is not None and self.max_sessions < 1:
            raise ValueError(f"AgentSpec max_sessions= takes a number from 1, not {self.max_sessions}")
        for name in ("resources", "examples"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise TypeError(f"AgentSpec {name}= takes a list of strings, not one string")
            object.__setattr__(self, name, tuple(value))
        wish = self.isolation or getattr(self.agent, ATTRIBUTE, "") or getattr(self.cast, "isolation", "")
        object.__setattr__(self, "isolation", checked_isolation(wish, f"AgentSpec {self.name!r}"))

    @property
    def shape(self) -> str:
        """What it builds: an ``agent``, a ``cast``, or nothing but a LiveKit ``entrypoint``."""
        return "agent" if self.agent is not None else "cast" if self.cast is not None else "entrypoint"

    def _check_cast(self) -> None:
        from openrtc.cast.declaration import Cast

        if not isinstance(self.cast, Cast):
            raise TypeError(f"AgentSpec cast= takes a Cast, not {self.cast!r:.60}")
        if given := [name for name in _OF_MEMBERS if getattr(self, name)]:
            raise TypeError(f"AgentSpec cast= and {given[0]}= do not go together: give it to the member that it is for")
