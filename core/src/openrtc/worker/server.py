"""`WorkerServer`: what one worker runs: an `AgentServer` for each agent name, with one admission, load and job pool."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web
from livekit.agents import AgentServer, JobExecutorType
from livekit.protocol import agent as proto

from openrtc.child_environment import leave_out_working_folder
from openrtc.dispatch.relaunch import AnsweredDispatch
from openrtc.model.dispatch_names import WorkerNames
from openrtc.model.isolation import ISOLATIONS
from openrtc.observe.events import Event, JobProcessStarted, RollOutFailed, WorkerRegistered
from openrtc.observe.health.server import HealthServer
from openrtc.runtime.runtime import Runtime
from openrtc.settings.load import NAME_OVERRIDE
from openrtc.upstream.digest import describe_changes
from openrtc.upstream.health import Publish, RoutedAgentServer, answer_nowhere
from openrtc.upstream.jobs import (
    JobExecutor,
    PooledAgentServer,
    ProcPool,
    build_pool_like,
    build_preload_option,
)
from openrtc.upstream.names import FurtherAgentServer, register_under
from openrtc.worker.admission import Admission, find_distribution
from openrtc.worker.callbacks import choose_callbacks
from openrtc.worker.control_channel import OFFER, ControlChannel
from openrtc.worker.coroutine_pool import CoroutinePool
from openrtc.worker.drift_watch import DriftWatch
from openrtc.worker.empty_rooms import UNKNOWN_SECONDS, EmptyRooms
from openrtc.worker.entrypoint import ChildSetup, run_call
from openrtc.worker.health_routes import build_health_routes
from openrtc.worker.isolated_calls import IsolatedCalls
from openrtc.worker.job_pool import JobPool, close_with_jobs
from openrtc.worker.load import LoadGauge
from openrtc.worker.monitor import Monitor
from openrtc.worker.offer import Offer
from openrtc.worker.orders import Orders
from openrtc.worker.pool_share import PoolShare
from openrtc.worker.process_starts import ProcessStarts
from openrtc.worker.prompt_status import PromptStatus
from openrtc.worker.recycle import MemoryWatermark
from openrtc.worker.registrations import Registrations
from openrtc.worker.second_agents import SecondAgents
from openrtc.worker.stranded_calls import StrandedCalls
from openrtc.worker.waiting_calls import WaitingCalls

logger = logging.getLogger("openrtc.worker")

MAX_IDLE = 4
"""How many threads or processes wait for a job at most; livekit-agents itself keeps one for each core. A job that comes
when all are taken waits in the `JobPool` until another one has started."""
SHORT_CLOSE_SECONDS = 2.0
"""What live calls have after a second signal: time to leave their rooms, so that no silent agent stays in one."""
CHILD_START_SECONDS = 120.0
"""A job process imports every agent and loads the resources before it takes a job."""


class WorkerServer:
    """What one worker runs: an `AgentServer` for each agent name, with one admission, load and job pool.

    Args:
        runtime: What the calls share, with the settings.
        child_arguments: Further arguments of ``build_runtime`` for job processes; without them, every call runs here.
        max_retry: How often to try to connect to the LiveKit server, if not as often as the settings say.
        health: Answers HTTP for this worker; without it, nobody does.
        takes_edits: Whether job processes that wait take what is edited meanwhile.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        child_arguments: Mapping[str, object] | None = None,
        max_retry: int | None = None,
        health: HealthServer | None = None,
        takes_edits: bool = False,
    ) -> None:
        settings = runtime.config.worker
        self._takes_edits = takes_edits
        self.runtime = runtime
        self._settings = settings
        self._child_arguments = child_arguments
        self.health = health
        self._max_retry = settings.max_retry if max_retry is None else max_retry
        self._pool: JobPool | None = None
        self._build_isolated: Callable[[str], ProcPool] | None = None
        self._joining: set[asyncio.Task[None]] = set()
        self._unsupported = describe_changes("jobs")
        self.isolation = self._choose_isolation(settings.isolation)
        self.waiting = WaitingCalls(self._end_if_empty, self._end_served)
        self._empty_rooms = EmptyRooms(settings, self.end, lambda: {job.id for job in self.jobs})
        self._asking: set[asyncio.Task[None]] = set()
        runtime.events.subscribe(self.waiting)
        self._loop: asyncio.AbstractEventLoop | None = None
        second_agents = SecondAgents(settings, self.list_answered)
        self.orders = Orders(settings, lambda: runtime.catalog.names, lambda: self.jobs, self.end)
        self.process_starts = ProcessStarts(runtime.events, self._list_in_processes, self._is_newer)
        runtime.events.subscribe(self._note_process_started)
        self.admission = Admission(
            runtime,
            settings.max_sessions,
            lambda: self.jobs,
            self.waiting,
            second_agents.why_second,
            self.orders.why_paused,
            self.process_starts.why_broken,
        )
        self.memory = MemoryWatermark(settings.memory_limit)
        self.load = LoadGauge(settings.max_sessions, lambda: self.admission.taken, lambda: self.memory.share)
        self.monitor = Monitor(runtime, self)
        self.drift = DriftWatch(runtime)
        self.ask_to_roll: Callable[[str], None] | None = None
        """Lets the supervisor replace all its workers, as `ControlChannel.ask_to_roll`; None where there is none."""
        self.report_offer: Callable[[], None] = lambda: None
        """Lets the supervisor, if there is one, know again what is ready; call it when that has changed."""
        self._names = self._choose_names(settings.agent_name)
        leave_out_working_folder()  # of job processes, and of the one that they are forked from
        self._options = self._build_options()
        servers = {name: self._build_server(name, self._options) for name in self._names}
        self.registrations = Registrations(servers, self._emit_registered)
        self.agent_server = self.registrations.first
        self.prompt_status = PromptStatus(self._is_full, self.registrations.send_status)
        runtime.events.subscribe(self.prompt_status)  # after what knows which calls hold a slot
        self.stranded = StrandedCalls(settings, lambda: self.registrations.connected, lambda: self.jobs, self.end)

    def follow_supervisor(self, channel: ControlChannel) -> None:
        """Let the supervisor know what is ready, now and at each call of `report_offer`, and ask it to roll."""
        self.ask_to_roll = channel.ask_to_roll
        self.report_offer = lambda: channel.tell(OFFER, offer=Offer.of(self.runtime).to_json())
        self.report_offer()

    def note_roll_out(self, noted: Mapping[str, Any]) -> None:
        """Note why this worker was not replaced."""
        self.monitor.state.roll_out_failed = noted["failed"]
        if noted["emits"]:  # one of all workers, which may write into one file
            self.runtime.events.emit(RollOutFailed(reason=noted["failed"], lost=tuple(noted["lost"])))

    @property
    def jobs(self) -> list[proto.Job]:
        """The jobs that run now."""
        if self._pool is None:  # before the start, or with a livekit-agents that OpenRTC does not know
            return [info.job for info in self.agent_server.active_jobs] if self._unsupported else []
        return [job.running_job.job for job in self._pool.processes if job.running_job]

    def list_answered(self, room_sid: str | None = None) -> list[AnsweredDispatch]:
        """Return the dispatches whose calls are live, and not about to end.

        Args:
            room_sid: LiveKit's id of a room, if not those in all rooms.
        """
        jobs = [job for job in self.jobs if room_sid in (None, job.room.sid) and not self._is_ending(job.id)]
        return [AnsweredDispatch.of(job, self._settings.api_secret) for job in jobs]

    @property
    def active(self) -> int:
        """How many jobs run now."""
        return len(self.jobs)

    @property
    def attended(self) -> int:
        """How many of them hold a slot: somebody is in their calls, or was a moment ago."""
        return self.waiting.count_attended(self.jobs)

    @property
    def failures(self) -> int:
        """How many jobs have failed; not known with a livekit-agents that OpenRTC does not know."""
        return self._pool.failures if self._pool else 0

    @property
    def kinds(self) -> dict[str, str]:
        """Where the calls of each ready agent run: ``coroutine``, ``thread`` or ``process``."""
        return {name: self.find_kind(name) for name in self.runtime.catalog.ready}

    def find_kind(self, agent: str) -> str:
        """Return where an agent's calls run."""
        if self._child_arguments is None or self._unsupported:
            return self.isolation
        return self.runtime.catalog.isolation(agent, self.runtime.config)

    async def aclose(self) -> None:
        """Close all registrations, with the jobs."""
        closing = asyncio.create_task(self.registrations.aclose(), name="close")
        if self._unsupported and self.isolation == "thread":  # else the `JobPool` does so
            await close_with_jobs(closing, lambda: self.jobs)
        await asyncio.gather(closing, return_exceptions=closing.cancelled())

    def shorten_close(self) -> None:
        """Give live calls only `SHORT_CLOSE_SECONDS` from now on when the server closes."""
        if self._pool:
            self._pool.shorten_close(SHORT_CLOSE_SECONDS)

    def end_soon(self, job_id: str, seconds: float) -> None:
        """Let a job of the shared loop, which is shutting down, have only ``seconds`` for that from now on."""
        if self._pool:
            self._pool.end_soon(job_id, seconds)

    def end(self, job_id: str, reason: str) -> None:
        """Let a job shut down."""
        if self._pool:
            self._pool.end(job_id, reason)

    def _end_if_empty(self, job_id: str, room: str, reason: str, spare: Callable[[], None]) -> None:
        def ask() -> None:
            asking = asyncio.create_task(self._ask_and_end(job_id, room, reason, spare), name="end-empty-room")
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

        if self._loop:
            # Not in the context of the call whose event this is: what runs there is ended with that call.
            self._loop.call_soon_threadsafe(ask, context=contextvars.Context())

    def _end_served(self, job_id: str, reason: str) -> None:
        if self._loop and self._pool:
            self._loop.call_soon_threadsafe(self._pool.end_served, job_id, reason, context=contextvars.Context())

    async def _ask_and_end(self, job_id: str, room: str, reason: str, spare: Callable[[], None]) -> None:
        if not await self._empty_rooms.end(job_id, room, reason, spare):
            await asyncio.sleep(UNKNOWN_SECONDS)  # by then its agent knows who is there; who has left may tell nobody
            self.waiting.end_if_draining()

    @property
    def isolated(self) -> Sequence[str]:
        """The agents that get processes because they have blocked the loop again and again."""
        return sorted(self._pool.blocking) if self._pool else []

    def why_not_isolated(self, agent: str) -> str | None:
        """Return why an agent that blocks the loop gets no processes, or None when it does."""
        if agent in self.runtime.config.isolation:
            return "[isolation] says so"
        if self._child_arguments is None:
            return "this program runs every call itself"
        kind = self.find_kind(agent)
        return None if kind == "coroutine" else f"its further calls have a {kind} each"

    async def isolate(self, agent: str) -> tuple[JobExecutor, float] | None:
        """Give the further calls of an agent processes.

        Returns:
            A process that is ready, and how many seconds it has taken to start; None where none came to be.
        """
        assert self._pool is not None and self._build_isolated is not None, "it has blocked the loop in a call"
        return await self._pool.isolate(agent, partial(self._build_isolated, "process"))

    def _list_in_processes(self) -> dict[str, str]:
        catalog = self.runtime.catalog
        return {name: find_distribution(catalog.get(name)) for name, kind in self.kinds.items() if kind == "process"}

    def _is_newer(self, distribution: str) -> bool:
        return self.runtime.distributions.find_drift(distribution) is not None

    def _note_process_started(self, event: Event) -> None:
        if isinstance(event, JobProcessStarted) and self._pool:
            self._pool.note_started(event.pid, event.unusable)

    def _is_full(self) -> bool:
        return self.admission.taken >= self._settings.max_sessions

    def _is_ending(self, job_id: str) -> bool:
        # A thread or process does not say that its job has begun to end, but its call does when it is over.
        return self.monitor.state.has_ended(job_id) or (self._pool is not None and self._pool.is_ending(job_id))

    def _choose_isolation(self, setting: str) -> str:
        if self._unsupported is None:
            return setting
        # Coroutine mode needs what this livekit-agents has not; its own threads and processes work. No agent may get
        # less isolation than it asks for.
        catalog, config = self.runtime.catalog, self.runtime.config
        asked = () if self._child_arguments is None else (catalog.isolation(name, config) for name in catalog.ready)
        instead: str = max(["thread", *asked], key=ISOLATIONS.index)
        logger.warning(
            "this livekit-agents is not the one that OpenRTC knows (%s): every call gets a %s of its own",
            self._unsupported,
            instead,
        )
        return instead

    def _choose_names(self, setting: str) -> tuple[str, ...]:
        if forced := os.environ.get(NAME_OVERRIDE):
            text = "%s is set: this worker is registered as %r only, whatever its agent name setting says"
            logger.warning(text, NAME_OVERRIDE, forced)
            return (forced,)
        names, catalog = WorkerNames.parse(setting), self.runtime.catalog
        in_code = names.select_in_code(catalog.names_in_code)
        for name, agents in catalog.shared_names_in_code.items():
            if names.counts_in_code(name):
                text = "agent name %r is that of %s: it is not registered; dispatch each by its own name (%s)"
                logger.error(text, name, " and ".join(map(repr, agents)), 'agent_name = "per-agent"')
        if names.mixed or (in_code and "" in names.own and self.runtime.router.default):
            logger.warning(
                "agent name %r: automatic dispatch beside names: a room that a program makes by dispatching to a name "
                "gets an automatic agent, too",
                setting or ", ".join(in_code),
            )
        registered = tuple(dict.fromkeys([*names.registered(catalog.ready), *in_code]))
        if len(registered) > 1 and (changes := self._unsupported or describe_changes("names")):
            text = "this worker is registered as %r only, since OpenRTC does not know this livekit-agents: %s"
            logger.warning(text, registered[0], changes)
            return registered[:1]
        return registered

    def _build_options(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "job_executor_type": JobExecutorType.PROCESS if self.isolation == "process" else JobExecutorType.THREAD,
            # The admission counts slots exactly; livekit-agents' own threshold would guess from the load.
            "load_threshold": float("inf"),
            "load_fnc": self.load,
            "drain_timeout": settings.drain_timeout,
            "ws_url": settings.url or None,
            "api_key": settings.api_key or None,
            "api_secret": settings.api_secret or None,
            # Loopback by default; livekit-agents' own default is every interface.
            "host": settings.host,
            "port": settings.port,
            "max_retry": self._max_retry,
            "log_level": {"warning": "WARN"}.get(settings.log_level, settings.log_level.upper()),
            "publish": self._choose_publish(),
            "setup_fnc": ChildSetup(
                self.runtime.config,
                dict(self._child_arguments or {}),
                self.monitor.events_socket,
                takes_edits=self._takes_edits,
                expected=self._list_in_processes(),
                distributions=self.runtime.distributions,
            ),
            "initialize_process_timeout": CHILD_START_SECONDS,
            **build_preload_option("openrtc.worker.child_preload"),
        }

    def _choose_publish(self) -> Publish | None:
        if describe_changes("health"):
            return None
        return self._answer if self.health else answer_nowhere

    async def _answer(self, routes: Sequence[web.AbstractRouteDef]) -> None:
        assert self.health is not None
        await asyncio.wrap_future(self.health.serve([*build_health_routes(self.runtime, self.monitor), *routes]))

    def _build_server(self, name: str, options: Mapping[str, Any]) -> AgentServer:
        server: AgentServer
        asked = self._find_registration(name)
        if "permissions" in asked:
            options = {**options, "permissions": asked["permissions"]}
        if self._unsupported:
            server = RoutedAgentServer(num_idle_processes=self._count_idle(self.isolation), **options)
        else:
            # Of the pool that livekit-agents makes, only the arguments are used; it must not start any process.
            kind = PooledAgentServer if name == self._names[0] else FurtherAgentServer
            server = kind(self._build_pool, num_idle_processes=0, **options)
        further = {key: value for key, value in asked.items() if key == "type"} | choose_callbacks(self.runtime)
        register_under(server, name, run_call, self.admission.answer, **further)
        return server

    def _find_registration(self, name: str) -> Mapping[str, Any]:
        """Return what the package asks for whose agent alone is dispatched by a name."""
        agent = self.runtime.catalog.names_in_code.get(name)
        worker = self.runtime.catalog.get(agent).worker if agent else None
        return worker.registration if worker else {}

    def _build_pool(self, server: PooledAgentServer, pool: ProcPool) -> JobPool | PoolShare:
        """Build what stands in for livekit-agents' own ``pool``: the worker's one pool, or a share of it."""
        if isinstance(server, FurtherAgentServer):
            assert self._pool is not None, "the first registration runs first"
            return PoolShare(self._pool, owns=False)
        self._loop = asyncio.get_running_loop()
        kinds = {self.isolation, *self.kinds.values()} - {"coroutine"}
        self._build_isolated = lambda kind: build_pool_like(pool, kind, self._count_idle(kind))
        self._pool = JobPool(
            CoroutinePool(
                server,
                self.runtime.resources,
                _Holders(self.runtime),
                self._settings.hang_up_seconds,
                self.runtime.events,
            ),
            {kind: self._build_isolated(kind) for kind in sorted(kinds)},
            find_kind=self.find_kind,
            default=self.isolation,
            calls=IsolatedCalls(self.runtime),
            starts=self.process_starts,
            before_process=self.drift.look_soon,
        )
        return PoolShare(self._pool, owns=True) if len(self._names) > 1 or self._may_grow else self._pool

    def _count_idle(self, kind: str) -> int:
        # A process that waits costs memory: one is enough where only some agents want one.
        most = MAX_IDLE if kind == self.isolation else 1
        return min(most, os.cpu_count() or 1, self._settings.max_sessions)

    def list_unregistered(self) -> list[str]:
        """Return the names under which this worker would be registered if it began now, and is not."""
        if os.environ.get(NAME_OVERRIDE):
            return []
        names, catalog = WorkerNames.parse(self._settings.agent_name), self.runtime.catalog
        wanted = [*names.registered(catalog.ready), *names.select_in_code(catalog.names_in_code)]
        return [name for name in dict.fromkeys(wanted) if name not in self._names]

    @property
    def _may_grow(self) -> bool:
        """Whether agents may join it, with names of theirs."""
        return self.runtime.config.policy.pick_up == "new" and not (self._unsupported or describe_changes("names"))

    def join_new(self) -> None:
        """Let agents that have joined the catalogue be called: register under their names, and start processes."""
        self.report_offer()
        if self._pool and self._build_isolated:
            for kind in sorted({*self.kinds.values()} - {"coroutine"}):
                joining = asyncio.create_task(self._pool.add_kind(kind, partial(self._build_isolated, kind)))
                self._joining.add(joining)
                joining.add_done_callback(self._joining.discard)
        names = self.list_unregistered()
        if names and not (self._may_grow and self._pool):
            logger.warning("restart to be registered as %s, too", ", ".join(map(repr, names)))
            return
        for name in names:
            self._names = (*self._names, name)
            self.registrations.add(name, self._build_server(name, self._options))

    def _emit_registered(self, name: str, worker_id: str) -> None:
        self.runtime.events.emit(WorkerRegistered(worker_id=worker_id, agent_name=name))


class _Holders:
    """The objects of plugins, and what agents have prewarmed, as they are now.

    Args:
        runtime: What the calls share.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def __iter__(self) -> Iterator[object]:
        yield from (plugin.target for plugin in self._runtime.plugins)
        yield from self._runtime.prewarmed.values()
