"""Agents in processes of their own beside agents in the shared loop, and several workers under one supervisor."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from e2e.callers import Caller, CallersProcess
from e2e.packages import Package
from e2e.reporting import show_log_on_failure
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import TONE_AGENTS, TONES
from e2e.tones import who_was_heard
from e2e.worker import WorkerProcess, openrtc_worker
from openrtc.observe.snapshots import read_snapshots
from openrtc.server.settings import find_free_port, is_port_free
from waiting import poll_until

StartWorker = Callable[..., WorkerProcess]

BLOCKING = Package(
    name="blocking-agents",
    modules={
        "blocking_agents.py": """
            import os

            from tone_agents import Gamma


            class Heavy(Gamma):
                openrtc_isolation = "process"
                seconds = 60.0

                async def on_enter(self):
                    await super().on_enter()
                    print("HEAVY", os.getpid(), flush=True)
        """
    },
    agents={"heavy": "blocking_agents:Heavy"},
)

SPARE = Package(
    name="spare-agent",
    modules={"spare_agent.py": "from tone_agents import Gamma as Spare\n"},
    agents={"spare": "spare_agent:Spare"},
)

BLOCKED = "503: blocked"


def heard_between(caller: Caller, start: float, end: float) -> set[str]:
    """Return whose tones a caller heard in a span of the wall clock."""
    return {who for recording in caller.recordings() for who in who_was_heard(recording.between(start, end), TONES)}


def install(tmp_path: Path) -> list[Path]:
    TONE_AGENTS.install_into(tmp_path / "packages")
    return [BLOCKING.install_into(tmp_path / "packages")]


def test_a_call_that_is_over_before_its_process_is_there_leaves_no_agent_alone_in_a_room(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    worker = start_worker("--allow", "tone-agents,blocking-agents", folders=install(tmp_path))
    api.create_room("heavy-gone")
    worker.wait_for_log("room 'heavy-gone': heavy")
    api.delete_room("heavy-gone")
    worker.wait_for_log("the room was deleted while the agent joined", 60.0)
    until = time.monotonic() + 30.0
    while api.agents_in(["heavy-gone"])["heavy-gone"]:
        assert time.monotonic() < until, f"agents sit alone in a room\n{worker.tail()}"
        time.sleep(0.2)
    callers.join("ann", api.token("heavy-later", "ann"), speaks=False).wait_for("track_subscribed", 30.0)


def test_the_operator_takes_an_agent_back_into_the_shared_loop(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    options = ("--allow", "tone-agents,blocking-agents", "--isolate", "heavy=coroutine")
    worker = start_worker(*options, folders=install(tmp_path))
    caller = callers.join("ann", api.token("heavy-here", "ann"), speaks=False)
    caller.wait_for("track_subscribed", 30.0)
    assert worker.wait_for_log("^HEAVY") == f"HEAVY {worker.pid}"
    assert not worker.children()
    caller.leave()


TWO_WORKERS = ("--allow", "tone-agents", "--processes", "2", "--max-sessions", "2")
"""Three calls are more than one of them takes."""


def workers_of(worker: WorkerProcess) -> dict[int, int]:
    """Return the pids of a supervisor's registered workers by their number."""
    found: dict[int, int] = {}
    for record in worker.records(r"^worker \d+ \(pid \d+\) is registered"):
        number, pid = re.findall(r"\d+", record["message"])[:2]
        found[int(number)] = int(pid)
    return found


def wait_for_registrations(worker: WorkerProcess, count: int, timeout: float = 40.0) -> None:
    until = time.monotonic() + timeout
    while len(worker.records(r"\) is registered")) < count:
        assert time.monotonic() < until, worker.tail()
        time.sleep(0.05)


def wait_for_count(worker: WorkerProcess, message: str, count: int) -> None:
    until = time.monotonic() + 60.0
    while len(worker.records(message)) < count:
        assert time.monotonic() < until, worker.tail()
        time.sleep(0.05)


def find_free_ports(count: int) -> int:
    """Return the first of some ports that are free, one after the other."""
    while True:
        first = find_free_port(socket.SOCK_STREAM)
        if all(is_port_free(first + number) for number in range(count)):
            return first


def ask_ready(port: int) -> tuple[int, dict[str, Any]]:
    """Return what ``/ready`` answers."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20.0)
    with contextlib.closing(client):
        client.request("GET", "/ready")
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())


class Probes:
    """Asks each of some ports for ``/ready``, again and again, for the time of its context.

    Args:
        first: The first port.
        count: How many.
    """

    def __init__(self, first: int, count: int) -> None:
        self._ports = range(first, first + count)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probes")
        self.answers: set[tuple[int, int | str]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            for port in self._ports:
                try:
                    status, answer = ask_ready(port)
                except OSError as error:
                    self.answers.add((port, f"{error!r}"))
                else:
                    self.answers.add((port, status if status == 200 else f"{status}: {answer['reason']}"))


def number_that_took(worker: WorkerProcess, room: str) -> int:
    """Return the number of the worker that took a room's call."""
    (record,) = [record for record in worker.records(f"room {room!r}: .* by ") if "rejected" not in record["message"]]
    return int(record["worker"])


@pytest.fixture(scope="module")
def two_workers(
    api: ServerApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[WorkerProcess]:
    """A supervisor of two workers, which a test may end."""
    folder = tmp_path_factory.mktemp("two-workers")
    more: dict[str, Any] = {"folders": install(folder), "variables": {"OPENRTC_SPEEDUPS": "none"}}
    with openrtc_worker(api, folder / "worker.log", *TWO_WORKERS, **more) as worker:
        show_log_on_failure(request.node, worker)
        wait_for_registrations(worker, 2)
        yield worker
        if worker.running:
            worker.stop()


@pytest.mark.realtime
def test_two_workers_share_the_calls_and_one_that_is_killed_is_replaced(
    two_workers: WorkerProcess, api: ServerApi, callers: CallersProcess
) -> None:
    worker = two_workers
    assert worker.records("workers are forked"), "they share what was loaded"
    rooms = [f"steady-shared-{number}" for number in range(3)]
    joined = {room: callers.join(room, api.token(room, "ann"), speaks=False) for room in rooms}
    for caller in joined.values():
        caller.wait_for("track_subscribed", 20.0)
    took = {room: number_that_took(worker, room) for room in rooms}
    assert set(took.values()) == {0, 1}
    doomed = workers_of(worker)[0]
    os.kill(doomed, signal.SIGKILL)
    killed = time.time()
    worker.wait_for_log(rf"worker 0 \(pid {doomed}\) has died \(SIGKILL\): a new one at once")
    wait_for_registrations(worker, 3)
    assert time.time() - killed < 10.0
    assert workers_of(worker)[0] != doomed
    assert not psutil.pid_exists(doomed), "a zombie is left"
    time.sleep(1.5)
    bystander = next(joined[room] for room in rooms if took[room] == 1)
    assert heard_between(bystander, killed - 0.5, killed + 1.5) == {"alpha"}
    after = callers.join("bob", api.token("beta-after-kill", "bob"), speaks=False)
    after.wait_for("track_subscribed", 20.0)
    for caller in (after, *joined.values()):
        caller.leave()
    lived = [*(room for room in rooms if took[room] == 1), "beta-after-kill"]
    poll_until(lambda: not any(api.agents_in(lived).values()))


@pytest.mark.realtime
def test_sigterm_lets_the_calls_of_both_workers_finish_and_a_second_ends_them(
    two_workers: WorkerProcess, api: ServerApi, callers: CallersProcess
) -> None:
    worker = two_workers
    rooms = [f"steady-ending-{number}" for number in range(3)]
    joined = [callers.join(room, api.token(room, "ann"), speaks=False) for room in rooms]
    for caller in joined:
        caller.wait_for("track_subscribed", 20.0)
    assert {number_that_took(worker, room) for room in rooms} == {0, 1}
    # As a service manager does, which signals every process of the service.
    for process in [*worker.children(), psutil.Process(worker.pid)]:
        process.terminate()
    signalled = time.time()
    time.sleep(3.0)
    assert worker.running
    for caller in joined:
        assert heard_between(caller, signalled, signalled + 2.0) == {"alpha"}
    worker.signal()
    assert worker.wait(10.0) == 3


@pytest.mark.realtime
def test_sighup_replaces_the_workers_without_losing_a_call_a_probe_or_an_agent(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    install(tmp_path)
    folder, first_port = SPARE.install_into(tmp_path / "packages"), find_free_ports(2)
    options = ("--allow", "tone-agents,spare-agent", *TWO_WORKERS[2:], "--port", str(first_port))
    worker = start_worker(*options, folders=[folder])
    wait_for_registrations(worker, 2)
    before = workers_of(worker)
    live = callers.join("ann", api.token("steady-rolled", "ann"), speaks=False)
    live.wait_for("track_subscribed", 20.0)

    code = folder / "spare_agent.py"
    whole = code.read_text()
    code.write_text(whole + "def broken(:\n")
    worker.signal(signal.SIGHUP)
    told = worker.wait_for_log("the roll-out stops", 60.0)
    assert "agent 'spare' of spare-agent 1.0.0 is broken: SyntaxError: " in told and f"{code}:" in told
    assert workers_of(worker) | before == before, "none was replaced"
    assert "'spare'" in ask_ready(first_port)[1]["roll_out_failed"]
    assert all("'spare'" in one["roll_out_failed"] for one in read_snapshots() if one["pid"] in before.values())
    code.write_text(whole)

    with Probes(first_port, 2) as probes:
        worker.signal(signal.SIGHUP)
        worker.wait_for_log("draining: 1 live calls", 60.0)
        draining = time.time()
        during = callers.join("bob", api.token("steady-during", "bob"), speaks=False)
        during.wait_for("track_subscribed", 20.0)
        time.sleep(1.5)
        assert heard_between(live, draining, draining + 1.5) == {"alpha"}
        live.leave()
        worker.wait_for_log("all workers are replaced|draining: 1 live calls", 60.0)
        during.leave()
        worker.wait_for_log("all workers are replaced", 60.0)
        worker.signal(signal.SIGHUP)
        wait_for_count(worker, "all workers are replaced", 2)
    # A busy machine may hold up a loop for a second; nobody is refused, and none says that it starts or drains.
    ready = {(first_port, 200), (first_port + 1, 200)}
    assert probes.answers - {(first_port, BLOCKED), (first_port + 1, BLOCKED)} == ready
    assert not any(psutil.pid_exists(pid) for pid in before.values())
    after = callers.join("cem", api.token("beta-rolled", "cem"), speaks=False)
    assert after.wait_for_answer(0.0) is not None
    worker.signal()
    time.sleep(0.5)
    after.leave()
    assert worker.wait(30.0) == 0


def test_both_workers_are_registered_under_the_name_of_each_agent(
    start_worker: StartWorker, api: ServerApi, tmp_path: Path
) -> None:
    worker = start_worker(*TWO_WORKERS, "--agent-name", "per-agent", folders=install(tmp_path))
    wait_for_registrations(worker, 2)
    dispatches = [Dispatch(room=f"own-name-{name}", agent_name=name) for name in ("beta", "gamma", "steady")]
    api.dispatch_all(dispatches)
    for dispatch in dispatches:
        worker.wait_for_log(f"room '{dispatch.room}': {dispatch.agent_name} by job.agent_name")
    assert {number_that_took(worker, dispatch.room) for dispatch in dispatches} == {0, 1}, (
        "three calls are too many for one"
    )
    until = time.monotonic() + 20.0
    while not all(api.agents_in([dispatch.room for dispatch in dispatches]).values()):
        assert time.monotonic() < until, worker.tail()
        time.sleep(0.1)
    worker.signal()
    worker.wait_for_log("draining")
    api.delete_all_rooms()
    assert worker.wait(30.0) == 0


@pytest.mark.realtime
def test_a_worker_whose_supervisor_is_killed_lets_its_call_finish_and_nothing_is_left(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    port = find_free_ports(1)
    options = ("--allow", "tone-agents,blocking-agents", "--processes", "1", "--port", str(port))
    worker = start_worker(*options, folders=install(tmp_path))
    wait_for_registrations(worker, 1)
    live = callers.join("ann", api.token("steady-orphan", "ann"), speaks=False)
    live.wait_for("track_subscribed", 20.0)
    children = worker.children()
    assert len(children) > 2, "a worker, its parent, and what it keeps ready for agents in processes of their own"
    os.kill(worker.pid, signal.SIGKILL)
    killed = time.time()
    until = time.monotonic() + 1.0
    while not is_port_free(port):
        assert time.monotonic() < until, "the health port is not free"
        time.sleep(0.01)
    time.sleep(1.5)
    assert heard_between(live, killed, killed + 1.5) == {"alpha"}
    assert worker.records("the supervisor is gone: this worker takes no more calls")
    live.leave()
    _, alive = psutil.wait_procs(children, timeout=30.0)
    assert not alive


def test_settings_that_no_worker_can_run_with_stop_the_supervisor_with_their_code(
    api: ServerApi, tmp_path: Path
) -> None:
    options = ("--allow", "no-such-package", "--processes", "2")
    with openrtc_worker(api, tmp_path / "log", *options) as worker:
        assert worker.wait(20.0) == 2
        assert worker.log().count("openrtc: no agent is ready to take calls") == 1
