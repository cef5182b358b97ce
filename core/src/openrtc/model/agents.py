"""`AgentSpec`: how to build one agent and its session."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from openrtc.errors import OpenRTCError
from openrtc.model.builders import check_builder
from openrtc.model.isolation import ISOLATION_ATTRIBUTE, ISOLATIONS, check_isolation
from openrtc.model.names import find_name_fault
from openrtc.suggest import did_you_mean

if TYPE_CHECKING:
    from livekit.agents import JobContext, JobProcess, JobRequest, SimulationContext


ANSWERS = ("lead", "addressed", "last_speaker")
HEARS = ("text", "audio")
ON_CRASH = ("continue", "end")
ENDS = ("no_humans", "never")

_MEMBER_OPTIONS = (
    *("stt", "llm", "tts", "vad", "turn_detection"),
    *("greeting", "userdata", "session_options", "room_options"),
)
"""What a cast's members have, each for itself."""

_CALLBACKS = ("prewarm", "on_request", "on_session_end", "on_simulation_end")
"""What livekit-agents calls for a job as a whole."""


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
        goodbye: Said when a call is ended at a limit; by default the settings' ``goodbye``.
        userdata: The session's ``userdata``: a callable, sync or async, that takes nothing or one `Call` and is called
            for each call, or a value that nobody can change. Not for an ``entrypoint``, which makes its own sessions.
        session_options: Further keyword arguments of ``AgentSession``. ``userdata``, ``mcp_servers`` and ``tools`` may
            be callables, sync or async, that are called without arguments for each call; objects that one call could
            change for another are refused. Or a callable that takes nothing or one `Call` and returns all of them.
        room_options: ``RoomOptions`` of livekit-agents for ``AgentSession.start``, or a callable that takes nothing or
            one `Call` and returns them.
        prewarm: Called once in each process that holds this agent's calls, before it takes any, with a ``JobProcess``.
            What it puts into ``userdata`` is in ``get_job_context().proc.userdata`` of this agent's calls alone.
        on_request: Called with each ``JobRequest`` that was routed to this agent and that there is room for; it accepts
            or rejects. What it leaves empty in ``accept()`` is as without it.
        on_session_end: Called with the ``JobContext`` when the session has closed, before the room is left.
        on_simulation_end: Called with the ``SimulationContext`` at the end of a simulation.
        resources: Keys of the resources without which this agent cannot serve.
        max_sessions: How many sessions of this agent the worker takes at once; None means as many as it has slots.
        rejoin_seconds: How long a call waits for its caller to come back when everybody has left it, in seconds, at
            most as long as the room stays open; None leaves it to the settings. Not for an ``entrypoint``, which ends
            its calls itself.
        examples: Sentences that a caller may say to this agent; the demo and the offline models use them.
        internal: Whether no room or caller can choose this agent: only a signed dispatch, a router, a cast or a
            hand-off does, and ``[routing] default`` where it names it.
        metadata_model: The type of the metadata that a dispatch gives this agent, in `Call.metadata`: a dataclass, a
            pydantic model or a ``TypedDict``. A call whose metadata does not fit is rejected; the keys ``agent`` and
            ``demo``, which the routing reads, are taken out before. A member of a cast may have its own.
        isolation: ``thread`` or ``process`` for an agent that blocks: its calls get one each, also where the others
            share one loop; by default the attribute ``openrtc_isolation`` of the class or function, or of its module.
            ``coroutine`` says of an entrypoint that its calls may share what they write into modules.
        pin_reload: Whether a live call keeps the code that it has begun with when ``openrtc dev`` takes an edit; the
            next one has the new code.
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
    goodbye: str = ""
    userdata: Any = None
    session_options: Mapping[str, Any] | Callable[..., Any] = field(default_factory=dict)
    room_options: Any = None
    prewarm: Callable[[JobProcess], Any] | None = None
    on_request: Callable[[JobRequest], Any] | None = None
    on_session_end: Callable[[JobContext], Any] | None = None
    on_simulation_end: Callable[[SimulationContext], Any] | None = None
    resources: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    max_sessions: int | None = None
    internal: bool = False
    isolation: str = ""
    rejoin_seconds: float | None = None
    pin_reload: bool = False
    metadata_model: Any = None

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.agent, self.entrypoint, self.cast)) != 1:
            raise TypeError("AgentSpec needs one of agent=, entrypoint= and cast=")
        if self.cast is not None:
            self._check_cast()
        if self.max_sessions is not None and self.max_sessions < 1:
            raise ValueError(f"AgentSpec max_sessions= takes a number from 1, not {self.max_sessions}")
        self._check_rejoin()
        self._check_callbacks()
        for name in ("resources", "examples"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise TypeError(f"AgentSpec {name}= takes a list of strings, not one string")
            object.__setattr__(self, name, tuple(value))
        asked = (
            self.isolation
            or getattr(self.agent or self.entrypoint, ISOLATION_ATTRIBUTE, "")
            or getattr(self.cast, "isolation", "")
        )
        object.__setattr__(self, "isolation", check_isolation(asked, f"AgentSpec {self.name!r}"))

    @property
    def shape(self) -> str:
        """What it builds: an ``agent``, a ``cast``, or nothing but a LiveKit ``entrypoint``."""
        return "agent" if self.agent is not None else "cast" if self.cast is not None else "entrypoint"

    @property
    def fixed_session_options(self) -> Mapping[str, Any]:
        """The options of a session that are known before there is a call."""
        return {} if callable(self.session_options) else self.session_options

    def _check_callbacks(self) -> None:
        for name in _CALLBACKS:
            if (given := getattr(self, name)) is not None and not callable(given):
                raise TypeError(f"AgentSpec {name}= takes a function, not {given!r:.60}")
        if inspect.iscoroutinefunction(self.prewarm):
            raise TypeError("AgentSpec prewarm= is async, which nobody would wait for: write def, not async def")
        if self.entrypoint is not None and self.userdata is not None:
            raise TypeError("AgentSpec entrypoint= and userdata= do not go together: it makes its sessions itself")

    def _check_rejoin(self) -> None:
        seconds: object = self.rejoin_seconds
        if seconds is None:
            return
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise ValueError(f"AgentSpec rejoin_seconds= takes a number of seconds from 0, not {seconds!r:.60}")
        if self.entrypoint is not None:
            raise TypeError("AgentSpec entrypoint= and rejoin_seconds= do not go together: it ends its calls itself")

    def _check_cast(self) -> None:
        if not isinstance(self.cast, Cast):
            raise TypeError(f"AgentSpec cast= takes a Cast, not {self.cast!r:.60}")
        if given := [name for name in _MEMBER_OPTIONS if getattr(self, name)]:
            raise TypeError(f"AgentSpec cast= and {given[0]}= do not go together: give it to the member that it is for")


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanTurn:
    """What a person has said, for the choice of who answers.

    Args:
        text: The words.
        names: The name of each member by its role, in the order of the cast; only members that are there.
        lead: Role of the member that answers people by default.
        last_speaker: Role of the member that has spoken last; the lead's before anybody has spoken.
    """

    text: str
    names: Mapping[str, str]
    lead: str
    last_speaker: str


Answers = str | Callable[[HumanTurn], str | None | Awaitable[str | None]]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One agent of a cast.

    Args:
        role: What the others of the cast call it; its participant's identity starts with it.
        agent: An `AgentSpec`, an ``Agent`` subclass, a factory, or the name of an agent in the catalogue.
    """

    role: str
    agent: AgentSpec | Callable[..., Any] | str

    def __post_init__(self) -> None:
        if fault := find_name_fault(str(self.role)):
            raise OpenRTCError(f"member {self.role!r}: {fault}", origin="Cast", fix='as in Member(role="driver", …)')
        if not isinstance(self.agent, str):  # the catalogue checks what is only named
            _check_member(self.role, self.agent)

    @property
    def spec(self) -> AgentSpec | None:
        """How the agent is built; None when it is the name of an agent in the catalogue."""
        if isinstance(self.agent, str):
            return None
        if isinstance(self.agent, AgentSpec):
            return self.agent if self.agent.name else replace(self.agent, name=self.role)
        return AgentSpec(agent=self.agent, name=self.role)


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Several agents in one room, each with its own participant, voice and transcript.

    Args:
        members: The agents, in the order in which they speak when nobody is addressed.
        lead: Role of the member that opens the conversation; the first one by default.
        ear: Role of the member that listens to people at first; the lead by default. It is the job's own participant.
        answers: Which member answers a person: ``lead``, ``addressed`` (whoever is called by name or role, else the
            lead), ``last_speaker``, or a function, sync or async, from a `HumanTurn` to a role.
        turn_budget: How many turns the members take in a row until a person has spoken again. After the answer to a
            person only a member that this answer addresses goes on.
        hears: How the members other than the ear hear each other: ``text`` (exact, in process) or ``audio``.
        on_crash: When a member fails or is removed: ``continue`` without it, or ``end`` the call. The call always ends
            when no member is left that can listen to people.
        ends: ``no_humans``: the call ends when the last person has left and does not come back. ``never``: it goes on,
            and while no person is in the room the turn budget does not count.
        turn_seconds: How long a member may have the floor without being heard before the next one gets it.
    """

    members: Sequence[Member]
    lead: str = ""
    ear: str = ""
    answers: Answers = "lead"
    turn_budget: int = 4
    hears: str = "text"
    on_crash: str = "continue"
    ends: str = "no_humans"
    turn_seconds: float = 20.0

    def __post_init__(self) -> None:
        members = tuple(self.members)
        object.__setattr__(self, "members", members)
        _check_members(members)
        object.__setattr__(self, "lead", self.lead or members[0].role)
        object.__setattr__(self, "ear", self.ear or self.lead)
        for option in ("lead", "ear"):
            _check_choice(option, getattr(self, option), self.roles, "the roles are")
        if not callable(self.answers):
            _check_choice("answers", self.answers, ANSWERS, "a function, or one of")
        for option, known in (("hears", HEARS), ("on_crash", ON_CRASH), ("ends", ENDS)):
            _check_choice(option, getattr(self, option), known, "one of")
        for option, least in (("turn_budget", 1), ("turn_seconds", 0.1)):
            if not isinstance(number := getattr(self, option), int | float) or number < least:
                raise OpenRTCError(f"{option}={number!r}", origin="Cast", fix=f"write a number from {least:g}")

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles in their order."""
        return tuple(member.role for member in self.members)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members that are agents of the catalogue."""
        return tuple(member.agent for member in self.members if isinstance(member.agent, str))

    @property
    def isolation(self) -> str:
        """The most that one of the members declared here asks for; empty for nothing."""
        asked = [member.spec.isolation for member in self.members if member.spec and member.spec.isolation]
        return max(asked, key=ISOLATIONS.index, default="")


def _check_members(members: Sequence[Any]) -> None:
    if not members:
        raise OpenRTCError("a cast needs members", origin="Cast", fix='members=[Member(role="…", agent=…), …]')
    for one in members:
        if not isinstance(one, Member):
            raise OpenRTCError(f"members= holds {one!r:.60}", origin="Cast", fix='write Member(role="…", agent=…)')
    roles = [member.role for member in members]
    if twice := next((role for role in roles if roles.count(role) > 1), None):
        raise OpenRTCError(f"the role {twice!r} is given twice", origin="Cast", fix="rename one of them")


def _check_choice(option: str, value: object, known: Sequence[str], lead_in: str) -> None:
    if value not in known:
        fix = did_you_mean(str(value), known, f"{lead_in} {', '.join(known)}")
        raise OpenRTCError(f"{option}={value!r}", origin="Cast", fix=fix)


def _check_member(role: str, agent: object) -> None:
    builder = agent.agent if isinstance(agent, AgentSpec) else agent
    callbacks = _CALLBACKS if isinstance(agent, AgentSpec) else ()
    if given := [name for name in callbacks if getattr(agent, name) is not None]:
        what = f"{given[0]}= is for the call, which the cast has"
        raise OpenRTCError(f"member {role!r}: {what}", origin="Cast", fix=f"write AgentSpec(cast=…, {given[0]}=…)")
    if isinstance(builder, Cast) or (isinstance(agent, AgentSpec) and agent.cast):
        raise OpenRTCError(f"member {role!r} is a cast itself", origin="Cast", fix="give an agent")
    if isinstance(agent, AgentSpec) and agent.entrypoint:
        what = "a LiveKit entrypoint, which starts its own session"
        raise OpenRTCError(f"member {role!r} is {what}", origin="Cast", fix="give an agent")
    try:
        check_builder(builder)
    except OpenRTCError as error:
        raise OpenRTCError(f"member {role!r}: {error.message}", origin="Cast", fix=error.fix) from None
