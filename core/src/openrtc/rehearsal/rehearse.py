"""`rehearse`: builds an agent as the worker would for a call, and holds the call in text, without a server or keys.

The agent runs in a job of livekit-agents' own that has no room, in the caller's loop. The same code builds and runs it
that does so in a worker: metadata and routing, ``prewarm``, resources, options, plugins' hooks, guards, callbacks at
the end. What a worker does to its process for the sake of many calls, such as the speedups, is not done.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from livekit.agents import Agent, AgentSession, JobExecutorType, JobRequest, RunResult
from livekit.agents.job import JobAcceptArguments
from livekit.agents.llm import FunctionTool, RawFunctionTool
from livekit.agents.llm.utils import build_legacy_openai_schema
from livekit.protocol import agent as proto

from openrtc.errors import one_line
from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.lack import Lack
from openrtc.observe.events import CallError, Event, LoopBlocked
from openrtc.plugins.lacks import list_missing_variables
from openrtc.rehearsal.errors import RehearsalError
from openrtc.rehearsal.keys import list_named_keys, placeholder_keys
from openrtc.rehearsal.script import Script
from openrtc.rehearsal.stage import Stage
from openrtc.runtime.providers import OFFLINE
from openrtc.runtime.resources import Resources
from openrtc.runtime.runtime import Runtime
from openrtc.session.build import list_built
from openrtc.session.containment import contain_exits
from openrtc.session.participant import build_participant
from openrtc.upstream.digest import describe_changes
from openrtc.upstream.jobs import RunningJobInfo
from openrtc.upstream.names import FurtherAgentServer, register_under
from openrtc.worker.admission import attach_decision
from openrtc.worker.blocked_loop.broken_calls import build_breaker
from openrtc.worker.blocked_loop.watchdog import Watchdog
from openrtc.worker.callbacks import choose_callbacks
from openrtc.worker.coroutine_pool import CoroutineJob, CoroutinePool
from openrtc.worker.direct_job import build_job, choose_agent
from openrtc.worker.entrypoint import run_call, use_runtime

REHEARSAL_ROOM = "rehearsal"
"""Name of the room that the routing and the agent see; there is none."""

BEGIN_SECONDS = 30.0
"""How long the agent has from the beginning of its job until it can be talked to: its factory alone may take 10 s."""

ON_ENTER_SECONDS = 5.0
"""How long an ``on_enter`` is waited for: one may go on in the background for as long as its call."""

RUN_SECONDS = 30.0
"""How long an answer may take, with the tools that it calls."""

REHEARSAL_END_SECONDS = 5.0
"""How long the call may take to end; then what still runs, such as a tool that hangs, is cancelled."""

LEAST_BLOCK = 1.0
"""Seconds from which on a block is told in the log; what a first call imports may take somewhat less."""

_FOR_SOUND = frozenset({"vad", "turn_detection"})
"""Resources that a call in text has no use for."""

_STEP = 0.01  # seconds between two looks; three in a row are quiet, since text comes without pauses

_running: list[Runtime] = []
"""Those of the rehearsals that run, the last one last: livekit-agents takes entrypoints that know of none."""


class Rehearsal:
    """A call of one agent, or of a cast, in text; `rehearse` makes it."""

    def __init__(
        self,
        runtime: Runtime,
        stage: Stage,
        job: CoroutineJob,
        agents: Sequence[str],
        problems: list[CallError],
        blocks: list[LoopBlocked],
    ) -> None:
        self.lacks: tuple[Lack, ...] = tuple(lack for name in agents for lack in runtime.find_lacks(name))
        """What the agent lacks to answer in a worker here; keys that are missing do not matter in a rehearsal."""
        self.problems: Sequence[CallError] = problems
        """What has failed in the call so far."""
        self.blocks: Sequence[LoopBlocked] = blocks
        """What has blocked the loop so far, where all other calls of a worker would have waited: from 0.1 s on."""
        self.opening: RunResult[Any] = stage.collect()
        """What the agent did before anybody had said something, such as its greeting."""
        self._runtime = runtime
        self._stage = stage
        self._job = job
        self._began_in = contextvars.copy_context()

    @property
    def call(self) -> Call:
        """The call, as the agent's factory got it, with the labels of its models."""
        assert self._stage.call is not None, "it is built"
        return self._stage.call

    @property
    def sessions(self) -> Mapping[str, AgentSession[Any]]:
        """The sessions of a cast by the role of the member; that of a single agent by an empty name."""
        return self._stage.sessions

    @property
    def session(self) -> AgentSession[Any]:
        """The session; of a cast that of its ear."""
        return next(iter(self._stage.sessions.values()))

    @property
    def agents(self) -> Sequence[Agent]:
        """The agents that were built for the call, with which it began."""
        return list_built(self.call.job_id)

    @property
    def agent(self) -> Agent:
        """The agent that has the session now: after a hand-off another one; of a cast that of its ear."""
        try:
            return self.session.current_agent
        except RuntimeError:  # it has not started
            return self.agents[0]

    @property
    def tools(self) -> dict[str, dict[str, Any]]:
        """What a language model is told of the agent's function tools, by their names."""
        functions = [one for one in self.agent.tools if isinstance(one, FunctionTool | RawFunctionTool)]
        return {one.info.name: _describe_tool(one) for one in functions}

    @property
    def said(self) -> Sequence[tuple[str, str]]:
        """What was said so far: the role of the member of a cast, empty for a single agent, and the words."""
        return self._stage.list_texts()

    async def run(self, user_input: str, **options: Any) -> RunResult[Any]:
        """Say something, and return what it came to, as ``AgentSession.run`` of livekit-agents does.

        Args:
            user_input: What the caller says.
            **options: Further arguments of ``AgentSession.run``; not for a cast.

        Raises:
            RehearsalError: The agent has failed, the script did not foresee it, or there was no answer in time.
        """
        if self._job.task.done() or self._job.ending:
            raise self._explain_end(f"the call was over before {one_line(user_input, 60)!r} was said")
        if self._stage.say is not None:
            return await self._say_to_cast(self._stage.say, user_input)
        assert self._stage.context is not None, "it has started"
        # In the context of the call, in which the code of a turn runs in a worker, and with what a test has set
        # meanwhile, such as livekit-agents' `mock_tools`.
        result = self._merge_contexts().run(lambda: self.session.run(user_input=user_input, **options))
        try:
            await self._await(asyncio.ensure_future(_settle(result)), user_input)
        except RehearsalError:
            raise
        except Exception as error:  # whatever a model raises
            raise self._explain_failure(error) from error
        return result

    async def wait_until_quiet(self) -> None:
        """Wait until the agent has done what it does by itself: ``on_enter`` and the greeting, for a while at most."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stage.entered.wait(), ON_ENTER_SECONDS)
        session, still = self.session, 0
        deadline = asyncio.get_running_loop().time() + BEGIN_SECONDS
        while still < 3 and not self._job.ending and asyncio.get_running_loop().time() < deadline:
            # A speech that waits for its turn is not yet in the session's state.
            busy = session.current_speech is not None or session.agent_state in ("thinking", "speaking")
            still = 0 if busy else still + 1
            await asyncio.sleep(_STEP)
        self.opening = self._stage.collect()

    def require_running(self) -> None:
        """Check that nothing has failed.

        Raises:
            RehearsalError: The agent has failed, or its script did not foresee what it was asked.
        """
        for script in self._list_scripts():
            if script.failure:
                raise script.failure
        if any(problem.fatal for problem in self.problems):
            raise self._explain_end("the call has failed")

    def check_complete(self) -> None:
        """Check that every answer of the scripts was asked for.

        Raises:
            ScriptError: One was not.
        """
        for script in self._list_scripts():
            script.check_complete()

    def _list_scripts(self) -> list[Script]:
        return [one for session in self.sessions.values() if isinstance(one := session.llm, Script)]

    async def _say_to_cast(self, say: Callable[[str], Any], user_input: str) -> RunResult[Any]:
        since = len(self._stage.events)
        await self._await(asyncio.ensure_future(say(user_input)), user_input)
        self.require_running()
        return self._stage.collect(since)

    async def _await(self, answer: asyncio.Future[Any], user_input: str) -> None:
        ended = asyncio.ensure_future(self._job.lifecycle.shutting_down.wait())
        try:
            await asyncio.wait({answer, ended}, timeout=RUN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not answer.done():
                self.require_running()  # an agent that hangs up has done no wrong
            elif not answer.done():
                doing = f"; {problem.error}" if (problem := next(iter(self.problems), None)) else ""
                raise RehearsalError(f"no answer to {one_line(user_input, 60)!r} within {RUN_SECONDS:g} s{doing}")
            else:
                answer.result()
        finally:
            ended.cancel()
            answer.cancel()

    def _merge_contexts(self) -> contextvars.Context:
        assert self._stage.context is not None, "it has started"
        merged, missing = self._stage.context.copy(), object()
        for variable, value in contextvars.copy_context().items():
            if self._began_in.get(variable, missing) is not value:
                merged.run(variable.set, value)
        return merged

    def _explain_failure(self, error: Exception) -> RehearsalError:
        for script in self._list_scripts():
            if script.failure:
                return script.failure
        return RehearsalError(
            f"agent {self.call.agent_name!r}: no answer: {type(error).__name__}: {one_line(str(error))}"
        )

    def _explain_end(self, otherwise: str) -> RehearsalError:
        return _explain_problems(self.call.agent_name, self.problems) or RehearsalError(otherwise)


StandIn = str | Script | Callable[[Call], Any]


@contextlib.asynccontextmanager
async def rehearse(
    runtime: Runtime,
    agent: str = "",
    *,
    model: StandIn | None = OFFLINE,
    starts: bool = True,
    room: str = REHEARSAL_ROOM,
    job_metadata: str = "",
    room_metadata: str = "",
    attributes: Mapping[str, str] | None = None,
    linger: Callable[[CoroutineJob], Awaitable[None]] | None = None,
) -> AsyncIterator[Rehearsal]:
    """Hold a call in text with an agent, built as the worker would build it, in the body.

    Args:
        runtime: What `build_runtime` gave; it is not started, and stays as it is.
        agent: The agent's name; empty leaves it to the routing.
        model: What takes the place of whatever language model the agent names, also after a hand-off: the rules of
            openrtc-offline, another model string, a `Script`, or a function that returns one of these, or an instance,
            for the call of each agent. Then keys may be missing. None for the agent's own.
        starts: Whether the session is started; otherwise the agent and its session are only built.
        room: The room that the routing and the agent see.
        job_metadata: Metadata of the dispatch.
        room_metadata: Metadata of the room.
        attributes: Attributes of the dispatch.
        linger: Awaited when the job has ended, before what it has left behind is ended too.

    Raises:
        OpenRTCError: There is no such agent, it cannot be built, or it fails before it can be talked to.
    """
    if changes := describe_changes("jobs"):
        raise RehearsalError(f"OpenRTC does not know this livekit-agents: {changes}")
    job = build_job(room, job_metadata=job_metadata, room_metadata=room_metadata)
    job.attributes.update(attributes or {})
    decision = await choose_agent(runtime, job, agent)
    _require_text(runtime, decision.agents)
    attach_decision(job, decision)
    stand_in = None if model is None else model if callable(model) else lambda _: model
    variables = set() if stand_in is None else _list_missing_keys(runtime, decision.agents)
    async with contextlib.AsyncExitStack() as stack:
        while True:
            own = replace(
                runtime,
                frontend=Stage(starts=starts),
                stand_in=stand_in,
                resources=Resources(runtime.config.policy.prefer),  # of this loop: the next test may have another one
            )
            try:
                rehearsal = await stack.enter_async_context(_hold(own, job, decision, variables, linger))
                break
            except RehearsalError as error:
                named = set() if stand_in is None else list_named_keys(error.message) - variables
                if not named:
                    raise
                variables |= named  # a library that says only now what it needs
        yield rehearsal


@contextlib.asynccontextmanager
async def _hold(
    runtime: Runtime,
    job: proto.Job,
    decision: Decision,
    variables: Collection[str],
    linger: Callable[[CoroutineJob], Awaitable[None]] | None,
) -> AsyncIterator[Rehearsal]:
    stage, events = runtime.frontend, runtime.events
    assert isinstance(stage, Stage), "it was given one"
    problems: list[CallError] = []
    blocks: list[LoopBlocked] = []
    with contextlib.ExitStack() as stack:
        stack.callback(events.subscribe(lambda event: _note_problem(event, job.id, problems, blocks)))
        stack.enter_context(placeholder_keys(variables))
        stack.enter_context(_use(runtime))
        await _load_resources(runtime, decision.agents)
        server = FurtherAgentServer(lambda _, pool: pool, job_executor_type=JobExecutorType.THREAD, ws_url="ws://none")
        callbacks = {name: _bind(one, runtime) for name, one in choose_callbacks(runtime).items()}
        register_under(server, "", _bind(run_call, runtime), _refuse, **callbacks)
        pool = CoroutinePool(server, runtime.resources, events=events)
        pool.close_seconds = REHEARSAL_END_SECONDS
        stack.enter_context(_contained_loop())
        stack.enter_context(_watch_loop(runtime, pool))
        await asyncio.sleep(0)  # the watch begins before the agent's code
        participant = build_participant(runtime.catalog, decision, job.id)
        accepted = JobAcceptArguments(name=participant["name"], identity=participant["identity"], metadata="")
        await pool.launch_job(RunningJobInfo(accepted, job, url="", token="", worker_id="", fake_job=True))
        (running,) = pool.processes
        try:
            await _wait_until_ready(stage.ready, running, decision.name, problems)
            rehearsal = Rehearsal(runtime, stage, running, decision.agents, problems, blocks)
            if stage.starts:
                await rehearsal.wait_until_quiet()
                rehearsal.require_running()
                if lost := [one for one in problems if one.member and one.where == "agent"]:
                    raise _build_problem_error(decision.name, lost[0])  # the others would go on without it
            yield rehearsal
        finally:
            stage.end()
            await running.join()
            if linger is not None:
                await linger(running)
            await pool.aclose()
            await runtime.resources.aclose()


@contextlib.contextmanager
def _contained_loop() -> Iterator[None]:
    """Let the loop know whose call a task belongs to, as a worker's does, and leave it as it was."""
    loop = asyncio.get_running_loop()
    tasks, lost = loop.get_task_factory(), loop.get_exception_handler()
    contain_exits(loop)
    try:
        yield
    finally:
        if not _running[1:]:  # the last one
            loop.set_task_factory(tasks)
            loop.set_exception_handler(lost)


@contextlib.contextmanager
def _watch_loop(runtime: Runtime, pool: CoroutinePool) -> Iterator[None]:
    """Notice code that blocks the loop, and break it off where the worker would do so."""

    def end_soon(job_id: str, seconds: float) -> None:
        if job := pool.get_by_job_id(job_id):
            job.end_soon(seconds)

    # Signals come to the main thread, where tests run.
    in_main = threading.current_thread() is threading.main_thread()
    breaker = build_breaker(runtime, end_soon) if in_main else None
    watchdog = Watchdog(
        asyncio.get_running_loop(), runtime.events, runtime.live.get, breaker=breaker, least=LEAST_BLOCK
    )
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()


@contextlib.contextmanager
def _use(runtime: Runtime) -> Iterator[None]:
    _running.append(runtime)
    use_runtime(runtime)
    try:
        yield
    finally:
        _running[:] = [one for one in _running if one is not runtime]
        use_runtime(_running[-1] if _running else None)


def _bind(function: Callable[[Any], Any], runtime: Runtime) -> Callable[[Any], Any]:
    """Return a function of livekit-agents' that finds the runtime of its own rehearsal, where several run at once."""

    async def bound(argument: Any) -> None:
        use_runtime(runtime)
        await function(argument)

    return bound


async def _refuse(request: JobRequest) -> None:
    await request.reject()


async def _load_resources(runtime: Runtime, agents: Sequence[str]) -> None:
    named = {key for name in agents for spec in runtime.list_specs(name) for key in spec.resources}
    await runtime.start(leave_out=_FOR_SOUND - named)
    for name in agents:
        if problem := runtime.catalog.why_unusable(name):
            raise RehearsalError(problem)


def _require_text(runtime: Runtime, agents: Sequence[str]) -> None:
    spec = runtime.catalog.get(agents[0]).spec
    if spec is not None and spec.entrypoint is not None:
        what = f"agent {agents[0]!r} is a LiveKit entrypoint, which makes its session itself, in a room"
        raise RehearsalError(what, fix="talk to it through a worker and a local server")


def _list_missing_keys(runtime: Runtime, agents: Sequence[str]) -> set[str]:
    missing: set[str] = set()
    for name in agents:
        runtime.find_lacks(name)  # now: later the placeholders would count as keys
        for spec in runtime.list_specs(name):
            named = runtime.catalog.agents.get(spec.name) or runtime.catalog.get(name)
            missing.update(list_missing_variables(spec, named.entry))
    return missing


async def _wait_until_ready(ready: asyncio.Event, job: CoroutineJob, agent: str, problems: Sequence[CallError]) -> None:
    waiting = asyncio.ensure_future(ready.wait())
    try:
        await asyncio.wait({waiting, job.task}, timeout=BEGIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if ready.is_set():
        return
    if problem := _explain_problems(agent, problems):
        raise problem
    ended = "its call has ended before it began" if job.task.done() else f"it has not begun within {BEGIN_SECONDS:g} s"
    raise RehearsalError(ended, origin=f'agent "{agent}"')


def _note_problem(event: Event, job_id: str, problems: list[CallError], blocks: list[LoopBlocked]) -> None:
    if isinstance(event, CallError) and event.job_id == job_id:
        problems.append(event)
    elif isinstance(event, LoopBlocked) and event.job_id == job_id and not event.ongoing:
        blocks.append(event)


def _explain_problems(agent: str, problems: Sequence[CallError]) -> RehearsalError | None:
    """Return the error that ended a call, else the first one that it had."""
    told = next((one for one in problems if one.fatal), problems[0] if problems else None)
    if told is None:
        return None
    return _build_problem_error(agent, told)


def _build_problem_error(agent: str, problem: CallError) -> RehearsalError:
    member = f", member {problem.member!r}" if problem.member else ""
    place = f" at {problem.place}" if problem.place else ""
    return RehearsalError(f"agent {agent!r}{member} failed: {problem.error}{place}")


async def _settle(result: RunResult[Any]) -> None:
    await result


def _describe_tool(tool: Any) -> dict[str, Any]:
    raw = getattr(tool.info, "raw_schema", None)
    schema: dict[str, Any] = raw or build_legacy_openai_schema(tool)["function"]
    return schema
