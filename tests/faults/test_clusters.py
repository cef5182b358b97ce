"""LiveKit servers with redis, which remembers rooms: one is restarted, and one of two nodes dies; one agent each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.callers import Caller, CallersProcess
from e2e.redis import redis_server
from e2e.server_api import Dispatch, ServerApi
from e2e.worker import TRACEBACK
from faults.bystander_calls import ALLOWED, hole_since
from faults.conftest import StartWorker
from faults.nodes import agents_seen, build_node, kill, read_node_id
from faults.rows import PendingRow
from faults.silence import silence_between
from openrtc.server import LocalServer

DOWN_SECONDS = 1.0
COMES_BACK_WITHIN = 60.0
LEAVES_WITHIN = 60.0


@pytest.fixture
def redis() -> Iterator[str]:
    """Where all nodes of a test keep what they know."""
    with redis_server() as address:
        yield address


@pytest.fixture
def killable_server(redis: str, tmp_path: Path) -> Iterator[LocalServer]:
    """A server with redis, or the node that dies."""
    with build_node(redis, tmp_path / "killed.log") as running:
        yield running


@pytest.fixture
def living_server(redis: str, tmp_path: Path) -> Iterator[LocalServer]:
    """The node that lives."""
    with build_node(redis, tmp_path / "living.log") as running:
        yield running


def wait_for(condition: Callable[[], object], within: float = COMES_BACK_WITHIN) -> None:
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, f"not within {within:g} s"
        time.sleep(0.1)


def hears(caller: Caller) -> bool:
    now = time.time()
    return silence_between(caller.recordings(), now - 1.5, now - 0.3) < 1.0


def test_a_server_with_redis_comes_back(
    killable_server: LocalServer,
    killable_api: ServerApi,
    start: StartWorker,
    people: CallersProcess,
    tmp_path: Path,
    row: PendingRow,
) -> None:
    row.fault = f"LiveKit server with redis killed, and started again {DOWN_SECONDS:g} s later"
    row.lost = "the sound until the calls are resumed; no call gets a second agent"
    near, far = Dispatch(room="", agent_name="near"), Dispatch(room="", agent_name="far")
    first = start("--agent-name", "near,far")
    callers = {
        room: people.join(room, killable_api.token(room, "ann", agents=[asked]), speaks=False)
        for room, asked in (("bystander-near", near), ("bystander-far", far), ("bystander-both", near))
    }
    killable_api.dispatch("bystander-both", "near")
    wanted = {"bystander-near": 1, "bystander-far": 1, "bystander-both": 2}
    wait_for(lambda: all(len(agents_seen(callers[room])) == count for room, count in wanted.items()))
    before = {room: agents_seen(caller) for room, caller in callers.items()}
    same_machine = start("--agent-name", "near")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    other_machine = start("--agent-name", "far", variables={"XDG_RUNTIME_DIR": str(elsewhere)})
    first.signal()
    first.wait_for_log("draining: 4 live calls")  # what the server dispatches anew is taken, or declined, by the others
    killed = time.time()
    kill(killable_server)
    time.sleep(DOWN_SECONDS)
    killable_server.start()
    leaves = "the call has its agent, .*this one leaves"
    # Where the other worker is too busy to say in time that its agent is live, it is noticed a little later.
    declined = f"rejected: its agent is live in another worker of this machine|{leaves}"
    for room in ("near", "both"):
        same_machine.wait_for_log(f"room 'bystander-{room}': ({declined})", COMES_BACK_WITHIN)
    row.operator = same_machine.records(declined)[0]["message"]
    other_machine.wait_for_log(f"room 'bystander-far': {leaves}", COMES_BACK_WITHIN)
    wait_for(lambda: {room: agents_seen(caller) for room, caller in callers.items()} == before)
    wait_for(lambda: all(map(hears, callers.values())))
    row.hole = hole_since(callers["bystander-near"], killed)
    assert {room: len(found) for room, found in killable_api.agents_in(list(wanted)).items()} == wanted

    killable_api.dispatch("bystander-near", "near")
    wait_for(lambda: len(agents_seen(callers["bystander-near"])) == 2)
    killable_api.delete_room("bystander-far")
    killable_api.create_room("bystander-far", agents=[far])
    wait_for(lambda: killable_api.agents_in(["bystander-far"])["bystander-far"])
    assert before["bystander-far"].isdisjoint(killable_api.agents_in(["bystander-far"])["bystander-far"])
    for caller in callers.values():
        caller.leave()
    assert first.wait(LEAVES_WITHIN) == 0
    assert TRACEBACK not in first.log() + same_machine.log() + other_machine.log()


def test_a_node_of_a_cluster_dies(
    killable_server: LocalServer,
    killable_api: ServerApi,
    living_server: LocalServer,
    start: StartWorker,
    tmp_path: Path,
    row: PendingRow,
) -> None:
    row.fault = "one of two LiveKit nodes killed, with a worker connected to each"
    row.lost = "the history of calls whose worker was connected to the dead node: they get another agent; the others' "
    row.lost += "sound until they are resumed"
    dead, alive = read_node_id(tmp_path / "killed.log"), read_node_id(tmp_path / "living.log")
    living_api = ServerApi(living_server.url, living_server.api_key, living_server.api_secret)
    with CallersProcess(living_server.url, tmp_path / "callers") as people:

        def call(name: str, where: str) -> Caller:
            living_api.create_room(name, node=where)
            caller = people.join(name, living_api.token(name, "ann"), speaks=False)
            caller.wait_for("track_subscribed")
            return caller

        first = start("--max-sessions", "2")
        calls = [call("bystander-stranded", alive), call("bystander-lost", dead)]
        second = start(server=living_api)
        calls += [call("bystander-moved", dead), call("bystander-untouched", alive)]
        before = [agents_seen(caller) for caller in calls]
        killed = time.time()
        kill(killable_server)
        stranded = "room 'bystander-stranded': .* cannot be reached, and the call goes on at"
        first.wait_for_log(stranded, COMES_BACK_WITHIN)
        row.operator = first.records(stranded)[0]["message"]
        second.wait_for_log("room 'bystander-moved': rejected: its agent is live here", COMES_BACK_WITHIN)
        for caller in calls[:3]:
            wait_for(lambda caller=caller: len(caller.events("track_subscribed")) > 1)  # type: ignore[misc]
        wait_for(lambda: all(map(hears, calls)))
        after = [agents_seen(caller) for caller in calls]
        assert [len(agents) for agents in after] == [1, 1, 1, 1]
        assert after[2:] == before[2:] and not before[0] & after[0] and not before[1] & after[1]
        row.hole = hole_since(calls[3], killed)
        assert row.hole < ALLOWED, "a call that has to do with the living node alone does not notice"
        calls.append(call("bystander-new", ""))

        second.signal()
        second.wait_for_log("draining: 5 live calls")
        for caller in calls:
            caller.leave()
        assert second.wait(LEAVES_WITHIN) == 0
        assert TRACEBACK not in first.log() + second.log()
