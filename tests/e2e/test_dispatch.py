"""Agents are sent to rooms by the command line, by its functions, by tokens and by rooms; and nobody is lost unseen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from e2e.callers import CallersProcess
from e2e.cli import CommandLine, Done
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess, openrtc_worker
from openrtc import LiveKitConnection, create_dispatch, delete_dispatch, get_dispatch, list_dispatches, wait_for_agent
from openrtc.dispatch.server_probe import Problem, probe_server

NAME = "tone-desk"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TONE_AGENTS.install_into(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def worker(api: ServerApi, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    log = tmp_path_factory.mktemp("dispatch") / "worker.log"
    options = ("--agent-name", NAME, "--allow", TONE_AGENTS.name, "--room-metadata-agents", "beta")
    with openrtc_worker(api, log, *options, folders=[packages]) as running:
        yield running.wait_until_ready()
        time.sleep(1.0)  # an agent that is still joining would make its room anew, and the worker would wait for it
        api.delete_all_rooms()  # the agents would wait for callers
        running.stop()


@pytest.fixture(scope="module")
def cli(api: ServerApi, packages: Path) -> CommandLine:
    return CommandLine(api.url, api.key, api.secret, NAME, [packages])


@pytest.fixture(scope="module")
def connection(api: ServerApi) -> LiveKitConnection:
    return LiveKitConnection(url=api.url, api_key=api.key, api_secret=api.secret, agent_name=NAME)


def agents_in(api: ServerApi, room: str, count: int, timeout: float = 15.0) -> list[str]:
    """Return which agents are in a room, as soon as there are ``count``, sorted."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if len(found := api.agents_in([room])[room]) >= count:
            return sorted(identity.partition("-")[0] for identity in found)
        time.sleep(0.1)
    raise AssertionError(f"there are not {count} agents in {room!r}, but {found}")


def nobody_in(api: ServerApi, room: str, timeout: float = 10.0) -> None:
    until = time.monotonic() + timeout
    while api.agents_in([room])[room]:
        assert time.monotonic() < until, f"an agent stays in {room!r}"
        time.sleep(0.1)


def test_a_dispatch_made_on_the_command_line_brings_the_agent_and_can_be_looked_at_and_deleted(
    api: ServerApi, worker: WorkerProcess, cli: CommandLine
) -> None:
    made = cli.run("dispatch", "create", "--room", "d-1", "--agent", "beta", "--wait", "--json").document
    assert made["schema_version"] == 1
    assert (made["joined"]["agent"], made["dispatch"]["agent"], made["dispatch"]["agent_name"]) == (
        "beta",
        "beta",
        NAME,
    )
    assert made["joined"]["identity"].startswith("beta-") and made["joined"]["seconds"] < 5.0
    assert agents_in(api, "d-1", 1) == ["beta"]
    (decided,) = worker.records("room 'd-1': ")
    assert "beta by job.attribute" in decided["message"]
    (listed,) = cli.run("dispatch", "list", "d-1", "--json").document["dispatches"]
    assert listed == cli.run("dispatch", "get", "d-1", listed["id"], "--json").document["dispatch"]
    assert cli.run("dispatch", "delete", "d-1", listed["id"]).code == 0
    nobody_in(api, "d-1")
    assert cli.run("dispatch", "get", "d-1", listed["id"]).code == 1
    assert cli.run("dispatch", "delete", "d-1", listed["id"]).code == 2
    assert cli.run("dispatch", "list", "no-such-room", "--json").document["dispatches"] == []


@pytest.mark.usefixtures("worker")
async def test_the_same_can_be_done_with_functions(connection: LiveKitConnection) -> None:
    first = await create_dispatch("d-2", "gamma", metadata='{"a": 1}', attributes={"k": "v"}, connection=connection)
    joined = await wait_for_agent(first, connection=connection)
    assert (joined.agent, joined.dispatch.metadata) == ("gamma", '{"a": 1}')
    assert joined.dispatch.attributes == {"k": "v", "openrtc.agent": "gamma"}
    second = await create_dispatch("d-2", connection=connection, metadata='{"agent": "beta"}')
    assert (await wait_for_agent(second, connection=connection)).agent == "beta"
    assert [one.id for one in await list_dispatches("d-2", connection=connection)] == [first.id, second.id]
    await delete_dispatch("d-2", first.id, connection=connection)
    assert await get_dispatch("d-2", first.id, connection=connection) is None


def lost(cli: CommandLine, *options: str) -> Done:
    began = time.monotonic()
    done = cli.run("dispatch", "create", "--wait", "--timeout", "1", "--json", *options)
    assert (done.code, time.monotonic() - began < 15.0) == (1, True), done
    assert done.document["dispatch"]["jobs"] == [] and done.document["lost"]["reason"] in done.err
    return done


@pytest.mark.usefixtures("worker")
def test_a_dispatch_that_nobody_takes_is_lost_and_says_why(cli: CommandLine) -> None:
    other = lost(cli, "--new-room", "--agent", "beta", "--agent-name", "tone-dsk")
    assert "on this machine none is registered as 'tone-dsk'" in other.err and NAME in other.err
    unknown = lost(cli, "--new-room", "--agent", "bta", "--any")
    assert "on this machine rejected it: " in unknown.err and 'did you mean "beta"' in unknown.err


def test_room_metadata_may_choose_only_what_the_operator_allows(
    api: ServerApi, worker: WorkerProcess, cli: CommandLine
) -> None:
    api.create_room("m-1", metadata='{"agent": "beta"}')
    assert cli.run("dispatch", "create", "--room", "m-1", "--wait", "--json").document["joined"]["agent"] == "beta"
    api.create_room("m-2", metadata='{"agent": "gamma"}')
    assert "room metadata may not choose" in lost(cli, "--room", "m-2").err
    (line,) = worker.records("room 'm-2': rejected by room.agent")
    assert "room_metadata_agents" in line["message"]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("options", "came"),
    [
        (["--agent", "gamma"], ["gamma"]),
        (["--agent", "beta", "--agent", 'gamma={"k": 1}'], ["beta", "gamma"]),
    ],
    ids=["one", "several"],
)
def test_a_token_brings_its_agents_into_a_new_room(
    api: ServerApi, cli: CommandLine, callers: CallersProcess, options: Sequence[str], came: list[str]
) -> None:
    room = f"t-{len(came)}"
    made = cli.run("token", "create", "--room", room, "--identity", "ann", "--token-only", *options)
    assert made.err == ""
    callers.join("ann", made.out.strip())
    assert agents_in(api, room, len(came)) == came


@pytest.mark.usefixtures("worker")
def test_a_token_for_a_room_that_is_there_warns_that_its_agents_do_not_come(
    api: ServerApi, cli: CommandLine, callers: CallersProcess
) -> None:
    api.create_room("t-there")
    made = cli.run("token", "create", "--room", "t-there", "--agent", "beta", "--token-only")
    assert made.code == 0 and "room 't-there' exists already" in made.err
    callers.join("ann", made.out.strip())
    time.sleep(1.0)
    assert api.agents_in(["t-there"]) == {"t-there": []}


@pytest.mark.usefixtures("worker")
def test_a_room_that_is_made_with_agents_gets_them(api: ServerApi) -> None:
    dispatches = [
        Dispatch(room="c-1", agent_name=NAME, attributes={"openrtc.agent": "beta"}),
        Dispatch(room="c-1", agent_name=NAME, metadata='{"agent": "gamma"}'),
    ]
    api.create_room("c-1", agents=dispatches)
    assert agents_in(api, "c-1", 2) == ["beta", "gamma"]


def test_nothing_is_waited_for_in_a_room_that_is_not_there(connection: LiveKitConnection) -> None:
    began = time.monotonic()
    assert asyncio.run(list_dispatches("nowhere", connection=connection)) == ()
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("key", "secret", "problem"),
    [
        ("", "", None),
        ("right", "right", None),
        ("APIunknown", "right", Problem.KEY),
        ("right", "another-secret-of-thirty-two-letters", Problem.SECRET),
    ],
)
async def test_the_server_says_what_is_wrong_with_a_key(
    api: ServerApi, key: str, secret: str, problem: Problem | None
) -> None:
    answer = await probe_server(api.url, key.replace("right", api.key), secret.replace("right", api.secret))
    assert answer.problem is problem
    assert abs(answer.ahead or 99) < 5
    assert bool(answer.version) is (key == "right" and problem is None)
