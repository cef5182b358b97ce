"""Everything that happens in a worker, as typed values: the one stream that every sink reads.

Times are seconds since the epoch (UTC) where they say when, and plain seconds where they say how long.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

WORDS = "openrtc_words"
"""Marks a field that holds what people or agents said, or what a tool was given or gave; see `openrtc.observe.words`.
"""


def words(default: Any = MISSING) -> Any:
    """Declare a field that holds words."""
    return field(default=default, metadata={WORDS: True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a worker.

    Args:
        time: When it happened, in seconds since the epoch.
        pid: The process in which it happened: the worker's, or that of a job of its own.
    """

    time: float = field(default_factory=time.time)
    pid: int = field(default_factory=os.getpid)

    @classmethod
    def kind(cls) -> str:
        """Return the name of this kind of event in JSON, such as ``call_started``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def to_json(self) -> dict[str, Any]:
        """Return the event as a flat JSON object that begins with ``event``, its kind."""
        return {"event": self.kind(), **asdict(self)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Event:
        """Return the event that `to_json` gave, perhaps in another process.

        Raises:
            ValueError: ``value`` is no event of this version.
        """
        kind = next((kind for kind in EVENTS if kind.kind() == value.get("event")), None)
        if kind is None or {one.name for one in fields(kind)} != set(value) - {"event"}:
            raise ValueError(f"no event: {value!r:.200}")
        arguments: dict[str, Any] = {
            name: tuple(one) if isinstance(one, list) else one for name, one in value.items() if name != "event"
        }
        return kind(**arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent(Event):
    """Something that happened in one call.

    Args:
        job_id: LiveKit's id of the job.
        room: Name of the room.
        agent: Name of the agent; empty before one was chosen.
        distribution: The distribution that brings the agent; empty for agents registered in code.
    """

    job_id: str
    room: str
    agent: str = ""
    distribution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted(Event):
    """The worker has loaded its resources and begins to register.

    Args:
        isolation: ``coroutine``, ``thread`` or ``process``.
        max_sessions: How many sessions it takes at once.
        agent_name: The setting: a name for explicit dispatch, ``per-agent``, or empty for automatic dispatch.
        agents: The agents that are ready.
    """

    isolation: str
    max_sessions: int
    agent_name: str
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRegistered(Event):
    """The LiveKit server has registered the worker, at first or again after a lost connection.

    Args:
        worker_id: The id that the server gave it.
        agent_name: The agent name of this registration: a worker has one for each; empty for automatic dispatch.
    """

    worker_id: str
    agent_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDraining(Event):
    """The worker takes no more calls and waits for the live ones.

    Args:
        reason: Why: ``signal``, ``memory``, ``panic``: LiveKit's native library has failed, or ``supervisor``: it was
            killed.
        live: How many calls are live.
    """

    reason: str
    live: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped(Event):
    """The worker has closed its jobs, plugins and resources.

    Args:
        served: How many sessions it has started.
    """

    served: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RollOutFailed(Event):
    """The workers of a supervisor were to be replaced by new ones, and go on as they are.

    Args:
        reason: Why, in one line.
        lost: The agents and plugins that are ready and would have been lost; none where it has failed otherwise.
    """

    reason: str
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLoaded(Event):
    """Loading a shared resource has ended, well or not.

    Args:
        key: The resource's key.
        distribution: Who brings it.
        ready: Whether it can be used.
        seconds: How long loading took.
        memory_mb: By how much the process grew meanwhile, in MB.
        reason: Why it cannot be used; empty when it can.
    """

    key: str
    distribution: str
    ready: bool
    seconds: float
    memory_mb: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRouted(CallEvent):
    """An agent was chosen for a job request.

    Args:
        rule: The rule or router that decided.
        reason: Why, in words.
        ms: How long routing took, in milliseconds.
        version: The version of the distribution whose code the call has; empty for agents registered in code.
        drift: What else was installed of the distribution after the worker has loaded that, in half a line, or empty.
    """

    rule: str
    reason: str
    ms: float
    version: str = ""
    drift: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRejected(CallEvent):
    """A job request was turned down; the server may offer it to another worker.

    Args:
        cause: ``full``, ``agent_full``, ``memory``, ``draining``, ``routing``, ``metadata``: what the dispatch carries
            is not what the agent wants, ``paused``: its agent, by the operator, ``broken``: no process starts for its
            agent, ``on_request``: the agent's own function has rejected it or has not answered, or ``second_agent``:
            the call has its agent, and no other worker is offered the job.
        reason: Why, in words.
    """

    cause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(CallEvent):
    """The agent's session has started: it is in the room and listens. An entrypoint of the agent's own is about to run.

    Args:
        setup_seconds: From the start of the job until now.
        identity: The person's identity; empty where nobody is there yet when something else happens in the call, or
            within ten seconds: ``call_ended`` names all who came.
    """

    setup_seconds: float
    identity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallError(CallEvent):
    """Something failed in a call.

    Args:
        where: What failed: ``agent``, ``tool``, ``task``, ``stt``, ``llm``, ``tts``, ``session``, or
            ``turn`` of a member of a cast.
        error: Type and message of the error, in one line; the type alone where words are not written.
        place: ``file:line`` of the deepest frame of the agent's code, if known.
        fatal: Whether it ended the call.
        member: Role of the member of a cast in which it failed; empty for a single agent.
    """

    where: str
    error: str
    place: str = ""
    fatal: bool = False
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCompleted(CallEvent):
    """The agent has had a turn: it has answered the caller, or said something by itself. An unknown latency is None.

    Where the caller's last words were not answered, one comes for these, too. Words are null where they are not
    written: see the setting ``[observe] words``.

    Args:
        heard: The caller's words, the first 4,000 characters; empty where nothing was heard, as before a greeting.
        said: The agent's words as far as they were heard, also those before and after a tool; the first 4,000
            characters.
        interrupted: Whether the agent was cut short.
        answered: Whether the agent has answered the caller: false for what it says by itself, such as a greeting or
            what one member of a cast says to another, and for words of the caller that got no answer, or that a
            realtime model has recognised only when it had answered.
        end_of_turn_seconds: From the end of the caller's speech until the turn was taken to be over.
        llm_ttft_seconds: Until the language model's first token.
        tts_ttfb_seconds: Until the first audio of the answer was synthesised.
        latency_seconds: From the end of the caller's speech to the agent's first audio.
        member: Role of the member of a cast that has answered; empty for a single agent.
    """

    heard: str | None = words("")
    said: str | None = words("")
    interrupted: bool = False
    answered: bool = True
    end_of_turn_seconds: float | None = None
    llm_ttft_seconds: float | None = None
    tts_ttfb_seconds: float | None = None
    latency_seconds: float | None = None
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalled(CallEvent):
    """A tool of the agent has ended, well or not. Of each text the first 4,000 characters are told.

    Words are null where they are not written: see the setting ``[observe] words``.

    Args:
        name: The tool's name.
        arguments: Its arguments, as the language model gave them: mostly a JSON object.
        result: What it has returned, as the language model reads it; empty where that is nothing.
        error: What was wrong, where it has failed; else empty.
        failed: Whether it has failed, was cancelled, or could not be called.
        seconds: How long it has taken.
        member: Role of the member of a cast that has called it; empty for a single agent.
    """

    name: str
    arguments: str | None = words()
    result: str | None = words("")
    error: str | None = words("")
    failed: bool = False
    seconds: float
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(CallEvent):
    """What one session of a call has used of one model, when the session has closed.

    It is what livekit-agents counts in ``AgentSession.usage`` and in its own session report.

    Args:
        type: What is counted, as livekit-agents names it: ``llm_usage`` (realtime models, too), ``stt_usage``,
            ``tts_usage``, ``interruption_usage`` or ``eot_usage``.
        provider: Who provides the model.
        model: Its name.
        counts: What was used, by livekit-agents' names, without what is zero: ``input_tokens``, ``characters_count``,
            ``audio_duration`` in seconds.
        member: Role of the member of a cast whose session it was; empty for a single agent.
    """

    type: str
    provider: str
    model: str
    counts: Mapping[str, float]
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberJoined(CallEvent):
    """A member of a cast is in the room: its session has started.

    Args:
        member: Its role.
        identity: Identity of its participant.
    """

    member: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSpoke(CallEvent):
    """A member of a cast has had the floor and said something; what, tells ``turn_completed``.

    Args:
        member: Its role.
        cause: Why it spoke: ``opening``, ``person`` (who was answered), ``member`` (another one spoke before),
            ``asked``, ``sent`` or ``handed_over`` (by another member), or ``itself`` (its own code).
        interrupted: Whether somebody cut it short.
        seconds: How long it had the floor.
    """

    member: str
    cause: str
    interrupted: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLeft(CallEvent):
    """A member of a cast has left before the call was over.

    Args:
        member: Its role.
        reason: Why.
        failed: Whether it failed or was removed by somebody else, rather than by the cast itself.
    """

    member: str
    reason: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EarMoved(CallEvent):
    """Another member of a cast listens to people from now on.

    Args:
        member: Its role.
        previous: Role of the member that has listened until now.
        reason: Why.
    """

    member: str
    previous: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWaiting(CallEvent):
    """Nobody is in a call, not yet or no more, or nobody serves it: it holds no slot, and waits for a while.

    Args:
        cause: ``nobody_yet`` or ``left``; ``closed`` where a LiveKit entrypoint has returned and its sessions closed.
        may_be_ended: Whether it ends when the worker is full or drains; a LiveKit entrypoint is left alone until
            its sessions have closed.
    """

    cause: str
    may_be_ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAttended(CallEvent):
    """Somebody is in a call that has waited: it holds a slot again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(CallEvent):
    """A call is over and its agent has left the room.

    Args:
        reason: Why it ended.
        seconds: How long it was: from the start of the job until its last person left, or until the end of the job
            where somebody was there to the end, where nobody ever was, and for a LiveKit entrypoint.
        failed: Whether an error ended it.
        people: The identities of all people who were there.
        turns: How many turns of the caller were answered.
        tool_calls: How many tools were called.
        usage: What all its sessions have used, an object for each model, as in livekit-agents' session report:
            ``type``, ``provider``, ``model``, and what was used.
        records: What plugins have recorded by ``call.record(key, value)``, by the name of the plugin's distribution.
    """

    reason: str
    seconds: float
    failed: bool = False
    people: tuple[str, ...] = ()
    turns: int = 0
    tool_calls: int = 0
    usage: tuple[Mapping[str, Any], ...] = ()
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLeftBehind(CallEvent):
    """Some seconds after the end of a call something of it is still there: tasks and rooms are ended, no thread can be.

    Args:
        left_by: The distribution whose code it is: the agent's, a plugin's, or empty for the program's own.
        tasks: How many tasks of its code have gone on.
        threads: How many threads that its code has started, or has work in, still run.
        rooms: How many further rooms it had joined and not left.
        place: Function and ``file:line`` of one task or thread, or the name of a room.
    """

    left_by: str
    tasks: int
    threads: int
    rooms: int
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReloaded(Event):
    """`openrtc dev` has taken an edit, or has refused it because the new code cannot be used.

    Args:
        distributions: Whose code was imported anew.
        files: The files that were saved.
        agents: The agents of these distributions.
        ms: How long it took, in milliseconds.
        reason: Why nothing has changed, else empty.
        place: ``file:line`` of the cause, else empty.
    """

    distributions: tuple[str, ...]
    files: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    ms: float = 0.0
    reason: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReloaded(CallEvent):
    """A live call has got the code that was reloaded, or keeps the one that it has.

    Args:
        ms: How long after the edit was seen, in milliseconds.
        reason: Why it keeps its code, else empty.
        member: Role of the member of a cast whose agent it is; empty for a single agent.
    """

    ms: float
    reason: str = ""
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginsChanged(Event):
    """A package is installed otherwise than the worker has loaded it: each change is told once.

    Args:
        distribution: Its name.
        what: ``upgraded``, ``downgraded``, ``changed`` (other code of the same version), ``removed``, ``installed``
            (it was not there before), ``restored``: it is again as the worker has loaded it, or ``picked_up``: it has
            joined the running worker.
        loaded_version: The version that the worker has loaded; empty where it has loaded none.
        installed_version: The version that is installed; empty where none is.
        agents: The agents that its entry points name now; of one that has joined, those that are ready.
    """

    distribution: str
    what: str
    loaded_version: str = ""
    installed_version: str = ""
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFailed(Event):
    """A plugin's hook raised, or took too long.

    Args:
        plugin: The plugin's name.
        distribution: The distribution that brings it.
        hook: The hook's name.
        error: Type and message of the error, in one line.
    """

    plugin: str
    distribution: str
    hook: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopBlocked(CallEvent):
    """Code blocks the loop that all calls share, or has blocked it; no call is answered meanwhile.

    The job's fields are empty where no call's code was running.

    Args:
        seconds: How long the loop has been blocked.
        ongoing: Whether it still is.
        place: ``file:line`` of the blocking code, the agent's own where there is one.
        function: The function there.
    """

    seconds: float
    ongoing: bool
    place: str = ""
    function: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockBroken(CallEvent):
    """Code that kept blocking the loop was broken off, and its call is ended.

    The job's fields are empty where the code belonged to no call.

    Args:
        seconds: How long it had blocked the loop.
        place: ``file:line`` at which it was broken off.
        function: The function there.
        tries: How many times it was broken off: more than once where it catches every exception.
    """

    seconds: float
    place: str
    function: str
    tries: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIsolated(Event):
    """An agent that has blocked the loop again and again gets processes for its calls, until the worker ends.

    Args:
        agent: Its name.
        distribution: The distribution that brings it; empty for one registered in code.
        start_seconds: How long the first such process took to start.
        memory_mb: How much memory that process has for itself, in MB, before its call.
    """

    agent: str
    distribution: str
    start_seconds: float
    memory_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProcessStarted(Event):
    """A process for one call has started, and waits for it.

    Args:
        seconds: How long it took to import the agents and to load the resources.
        unusable: The agents that cannot be used in it, by their names, each with the reason in one line.
    """

    seconds: float
    unusable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentBroken(Event):
    """An agent takes no calls, since processes for them fail to start again and again; one is tried now and then.

    Args:
        agent: Its name.
        distribution: The distribution that brings it; empty for one registered in code.
        reason: Why, in one line.
    """

    agent: str
    distribution: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecovered(Event):
    """An agent that was broken takes calls again: a process for them has started, or is tried with the next one.

    Args:
        agent: Its name.
        distribution: The distribution that brings it; empty for one registered in code.
        seconds: How long it took none.
    """

    agent: str
    distribution: str
    seconds: float


EVENTS: tuple[type[Event], ...] = (
    WorkerStarted,
    WorkerRegistered,
    WorkerDraining,
    WorkerStopped,
    RollOutFailed,
    ResourceLoaded,
    CallRouted,
    CallRejected,
    CallStarted,
    CallError,
    TurnCompleted,
    ToolCalled,
    Usage,
    MemberJoined,
    MemberSpoke,
    MemberLeft,
    EarMoved,
    CallWaiting,
    CallAttended,
    CallEnded,
    CallLeftBehind,
    CodeReloaded,
    CallReloaded,
    PluginsChanged,
    PluginFailed,
    LoopBlocked,
    BlockBroken,
    AgentIsolated,
    JobProcessStarted,
    AgentBroken,
    AgentRecovered,
)
