"""The demo: a conversation with every installed agent, side by side in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from openrtc.config import Config
from openrtc.conversation.audition import Candidate, audition
from openrtc.conversation.broken_pipe import READER_GONE
from openrtc.conversation.call_plan import plan_calls
from openrtc.conversation.call_record import CallRecord
from openrtc.conversation.calm_logs import ToldFailures, configure_calm_logs
from openrtc.conversation.demo_calls import DemoCalls
from openrtc.conversation.demo_report import DemoReport
from openrtc.conversation.demo_worker import running_worker
from openrtc.conversation.stop import Stop
from openrtc.conversation.way import Choice, Way, choose_way
from openrtc.errors import OpenRTCError
from openrtc.providers.providers import OFFLINE
from openrtc.server.local import LocalServer
from openrtc.worker.containment import run_contained
from openrtc.worker.run import require_agents
from openrtc.worker.runtime import Runtime, build_runtime
from openrtc.worker.server import WorkerServer
from openrtc.worker_names import WorkerNames

_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the demo went.

    Args:
        exit_code: 0 when every agent answered, else 1; 128 and more after a signal.
        agent: An agent that can be talked to further; empty when there is none.
    """

    exit_code: int
    agent: str = ""


def demo(config: Config, arguments: Mapping[str, Any], console: Console, *, text: bool, only: str) -> Outcome:
    """Hold a conversation with every installed agent.

    Args:
        config: The settings.
        arguments: Further arguments of ``build_runtime``.
        console: Where to print.
        text: Whether nobody speaks.
        only: The one agent to call; empty for all.

    Raises:
        OpenRTCError: There is no agent, or the given LiveKit server cannot be reached.
    """
    began = time.monotonic()
    report = DemoReport(console)
    show = report.warn if console.is_terminal else _to_stderr
    failures = configure_calm_logs(config.worker.log_level, config.worker.log_format, show)
    report.open(os.getpid())
    runtime = build_runtime(_with_name(config), **arguments)
    require_agents(runtime)
    names = _chosen(runtime, only)
    choice = choose_way(config.worker, runtime.providers, text=text)
    report.agents(runtime.catalog, names)
    report.way(choice, offline=_use_offline(runtime))
    with _server_for(choice, runtime) as runtime:
        return run_contained(_Demo(runtime, choice, report, failures, began).run(names))


def _with_name(config: Config) -> Config:
    """Return the settings with a name for the worker.

    On a server that others use, too, an automatic dispatch would bring us their calls, and them ours.
    """
    names = WorkerNames.parse(config.worker.agent_name)
    name = "" if names.per_agent else names.own[0]
    name = name or f"openrtc-demo-{secrets.token_hex(3)}"
    return replace(config, worker=replace(config.worker, agent_name=name, isolation="coroutine", port=0))


def _chosen(runtime: Runtime, only: str) -> tuple[str, ...]:
    if not only:
        return runtime.catalog.ready
    problem = runtime.catalog.why_not_ready(only)
    if problem:
        raise OpenRTCError(problem, origin="--agent")
    return (only,)


def _use_offline(runtime: Runtime) -> bool:
    if runtime.providers.why_unavailable(OFFLINE.rstrip(":")):
        return False
    runtime.config = replace(runtime.config, defaults=replace(runtime.config.defaults, offline=True))
    return True


@contextlib.contextmanager
def _server_for(choice: Choice, runtime: Runtime) -> Iterator[Runtime]:
    """Start the LiveKit server of this machine where that is the way."""
    worker = runtime.config.worker
    if choice.way is Way.LOCAL_SERVER:
        with LocalServer(port=0) as server:
            own = replace(worker, url=server.url, api_key=server.api_key, api_secret=server.api_secret, agent_name="")
            runtime.config = replace(runtime.config, worker=own)
            yield runtime
        return
    yield runtime


class _Demo:
    """One run of the demo."""

    def __init__(
        self, runtime: Runtime, choice: Choice, report: DemoReport, failures: ToldFailures, began: float
    ) -> None:
        self._runtime = runtime
        self._choice = choice
        self._report = report
        self._failures = failures
        self._began = began

    async def run(self, names: Sequence[str]) -> Outcome:
        server = WorkerServer(self._runtime, self._runtime.config.worker, max_retry=_ATTEMPTS)
        over = asyncio.Event()
        stop = Stop(over.set)
        self._report.when_reader_goes(over.set)
        async with running_worker(self._runtime, server, registered=self._choice.way.in_rooms):
            working = asyncio.create_task(self._call_all(server, names))
            waiting = asyncio.create_task(over.wait())
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if working.done():
                return working.result()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            self._report.stop_watching()
        return Outcome(stop.exit_code or READER_GONE)

    async def _call_all(self, server: WorkerServer, names: Sequence[str]) -> Outcome:
        candidates = [await audition(self._runtime, name, text_only=self._choice.voice is None) for name in names]
        for candidate in candidates:
            if candidate.lacking:
                self._report.left_out(candidate.name, candidate.lacking)
        usable = [candidate for candidate in candidates if candidate.usable]
        calls = await plan_calls(self._runtime, usable, suffix=self._suffix())
        self._report.watch(calls)
        try:
            await DemoCalls(self._runtime, server, self._choice, self._failures).hold(calls, self._ended)
        finally:
            self._report.stop_watching()
        return self._close(candidates, calls)

    def _suffix(self) -> str:
        return secrets.token_hex(2) if self._choice.way is Way.GIVEN_SERVER else "1"

    def _ended(self, record: CallRecord) -> None:
        self._report.call(record, self._choice.way)

    def _close(self, candidates: Sequence[Candidate], calls: Sequence[CallRecord]) -> Outcome:
        seconds = time.monotonic() - self._began
        self._report.close(calls, pid=os.getpid(), seconds=seconds, megabytes=_megabytes())
        failed = [(candidate.name, candidate.problem) for candidate in candidates if candidate.problem]
        failed += [(call.agent, f"{call.room}: {call.problem}") for call in calls if call.problem]
        self._report.failures(failed)
        good = {call.agent for call in calls if call.good}
        if not good and not failed:
            self._report.failures([("demo", "no agent could be called")])
        agent = max(good, default="")
        if agent:
            self._report.invite(agent, self._choice.way)
        return Outcome(0 if good and not failed else 1, agent)


def _megabytes() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
