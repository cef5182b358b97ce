"""One worker under the name of each of its agents; and one without a name, whose rooms are made for one agent alone."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.callers import CallersProcess
from e2e.cli import CommandLine
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import TONE_AGENTS, TONES
from e2e.tones import who_was_heard
from e2e.worker import WorkerProcess
from openrtc.server.settings import find_free_port

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return TONE_AGENTS.install_into(tmp_path / "packages")


def joined(cli: CommandLine, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = cli.run("dispatch", "create", "--wait", "--json", *options).document["joined"]
    return found


def count_sessions(worker: WorkerProcess) -> tuple[int, int]:
    seen = worker.snapshot()
    return seen["sessions"], seen["waiting"]


def wait_for_sessions(worker: WorkerProcess, count: int) -> None:
    until = time.monotonic() + 20.0
    while count_sessions(worker) != (count, 0) and time.monotonic() < until:
        time.sleep(0.1)
    assert count_sessions(worker) == (count, 0)


def test_each_agent_is_dispatched_by_its_own_name_from_one_process_with_one_set_of_slots(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, packages: Path
) -> None:
    import socket

    port = find_free_port(socket.SOCK_STREAM)
    options = ("--allow", TONE_AGENTS.name, "--agent-name", "per-agent", "--max-sessions", "3", "--port", str(port))
    worker = start_worker(*options, folders=[packages])
    for name in TONE_AGENTS.agents:
        worker.wait_for_log(f'registered worker.*"agent_name": "{name}"')
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
        assert answer.status == 200
    cli = CommandLine(api.url, api.key, api.secret, "per-agent", [packages])
    assert joined(cli, "--room", "n-1", "--agent", "beta")["agent"] == "beta"
    api.dispatch("gamma-2", "beta")
    assert [one.partition("-")[0] for one in api.wait_for_agents(["gamma-2"])["gamma-2"]] == ["beta"]
    for room in ("n-1", "gamma-2"):  # an agent alone has no slot
        callers.join(room, api.token(room, "bob"))  # who speaks: of others the server tells up to 3 s later
    rules = {record["message"].split(" by ")[1].partition(":")[0] for record in worker.records(r"^room '.*: beta by")}
    assert rules == {"job.agent_name"}

    wait_for_sessions(worker, 2)
    dispatch = Dispatch(room="n-3", agent_name="steady")
    caller = callers.join("ann", api.token("n-3", "ann", agents=[dispatch]))
    caller.wait_for("track_subscribed")
    full = cli.run("dispatch", "create", "--room", "n-4", "--agent", "gamma", "--wait", "--timeout", "2")
    assert full.code == 1 and "all 3 sessions are taken" in full.err

    worker.signal()
    worker.wait_for_log("draining: 3 live calls may finish")
    late = cli.run("dispatch", "create", "--room", "n-5", "--agent", "alpha", "--wait", "--timeout", "1")
    assert late.code == 1 and "takes no calls: draining" in late.err
    for room in ("n-1", "gamma-2"):
        api.delete_room(room)
    time.sleep(1.0)
    assert worker.running, "the call under a third name is still live"
    (recording,) = caller.recordings()
    assert who_was_heard(recording.sound, TONES) == {"alpha"}, "steady plays alpha's tone"
    caller.leave()
    assert worker.wait() == 0


def test_a_second_signal_ends_the_calls_of_all_names_at_once(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, packages: Path
) -> None:
    worker = start_worker("--allow", TONE_AGENTS.name, "--agent-name", "desk,per-agent", folders=[packages])
    worker.wait_for_log('registered worker.*"agent_name": "steady"')
    cli = CommandLine(api.url, api.key, api.secret, "desk,per-agent", [packages])
    assert joined(cli, "--room", "s-1", "--agent", "steady")["agent"] == "steady"
    assert joined(cli, "--room", "beta-s-2")["agent"] == "beta", "the worker's own name leaves it to the routing"
    for room in ("s-1", "beta-s-2"):  # an agent alone would leave at the first signal
        callers.join(room, api.token(room, "ann"), speaks=False)
    wait_for_sessions(worker, 2)
    worker.signal()
    worker.wait_for_log("draining: 2 live calls")
    worker.signal()
    assert worker.wait(15.0) == 3


def test_without_a_name_a_dispatch_into_a_new_room_brings_its_agent_alone(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, packages: Path
) -> None:
    start_worker("--allow", TONE_AGENTS.name, folders=[packages])
    cli = CommandLine(api.url, api.key, api.secret, "", [packages])
    assert joined(cli, "--room", "gamma-auto-1", "--agent", "beta")["agent"] == "beta"
    assert joined(cli, "--room", "gamma-auto-1", "--agent", "alpha")["agent"] == "alpha"
    token = cli.run("token", "create", "--room", "gamma-auto-2", "--agent", "beta", "--token-only").out.strip()
    caller = callers.join("ann", token, speaks=False)
    assert caller.wait_for_agent()["identity"].startswith("beta-")
    assert caller.wait_for_tones(TONES) == {"beta"}
    time.sleep(0.5)
    came = api.agents_in(["gamma-auto-1", "gamma-auto-2"])
    assert sorted(one.partition("-")[0] for one in came["gamma-auto-1"]) == ["alpha", "beta"]
    assert [one.partition("-")[0] for one in came["gamma-auto-2"]] == ["beta"]
