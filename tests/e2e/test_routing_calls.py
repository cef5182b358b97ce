"""Every row of the routing table, by real dispatches to a real worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from livekit.api import ParticipantInfo

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import TONE_AGENTS, TONES
from e2e.worker import WorkerProcess, openrtc_worker
from waiting import poll_until

ACTIVE = ParticipantInfo.State.ACTIVE
FRONT = "front-desk"
ROUTER = Package(
    name="gold-router",
    modules={
        "gold_router.py": """
            from openrtc import Decision, hookimpl

            @hookimpl
            async def openrtc_route(request, agents):
                if request.room_name == "closed":
                    return Decision.reject("closed today")
                if (request.job_metadata or {}).get("tier") == "gold":
                    return Decision.to("gamma", reason="gold customer")
                if request.room_name.startswith("lost-"):
                    return "nobody"
                if request.room_name.startswith("crash-"):
                    raise RuntimeError("router bug")
        """
    },
    plugins={"gold": "gold_router"},
)


@pytest.fixture(scope="module")
def worker(
    api: ServerApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[WorkerProcess]:
    folder = tmp_path_factory.mktemp("routing")
    TONE_AGENTS.install_into(folder / "packages")
    ROUTER.install_into(folder / "packages")
    started = openrtc_worker(
        api,
        folder / "worker.log",
        "--agent-name",
        FRONT,
        "--allow",
        "tone-agents,gold-router",
        "--max-sessions",
        "20",
        folders=[folder / "packages"],
    )
    with started as running:
        yield running.wait_until_ready()
        running.stop()


CHOSEN = [
    (Dispatch(room="r-1", metadata='{"agent": "beta", "demo": "gamma"}'), "", "beta", "job.agent"),
    (Dispatch(room="r-2", metadata='{"demo": "gamma"}'), '{"agent": "beta"}', "gamma", "job.demo"),
    (Dispatch(room="r-3", attributes={"openrtc.agent": "beta"}), "", "beta", "job.attribute"),
    (Dispatch(room="gamma-4"), '{"agent": "beta"}', "beta", "room.agent"),
    (Dispatch(room="gamma-5"), '{"demo": "beta"}', "beta", "room.demo"),
    (Dispatch(room="beta-6", metadata='{"tier": "gold"}'), "", "gamma", "gold-router:gold"),
    (Dispatch(room="beta-7", metadata='{"tier": "gold", "agent": "beta"}'), "", "beta", "job.agent"),
    (Dispatch(room="beta-call-8"), "", "beta", "room.prefix"),
    (Dispatch(room="gamma"), "", "gamma", "room.prefix"),
    (Dispatch(room="beta-9", metadata="not json"), "[1]", "beta", "room.prefix"),
    (Dispatch(room="r-10"), "", "alpha", "default"),
    (Dispatch(room="lost-11"), "", "alpha", "default"),
    (Dispatch(room="crash-12"), "", "alpha", "default"),
    (Dispatch(room="r-13", metadata='{"x": "' + "y" * 60_000 + '"}'), "", "alpha", "default"),
]
REJECTED = [
    (Dispatch(room="alpha-20", metadata='{"agent": "bta"}'), 'did you mean "beta"'),
    (Dispatch(room="closed"), "closed today"),
]


@pytest.fixture(scope="module")
def agents(api: ServerApi, worker: WorkerProcess) -> Iterator[dict[str, list[str]]]:
    """Which agents have come to the rooms of all these dispatches."""
    for dispatch, _ in REJECTED:
        api.dispatch(dispatch.room, FRONT, dispatch.metadata)
    for dispatch, room_metadata, _, _ in CHOSEN:
        api.create_room(dispatch.room, metadata=room_metadata)
        api.dispatch(dispatch.room, FRONT, dispatch.metadata, dispatch.attributes)
    chosen = [dispatch.room for dispatch, *_ in CHOSEN]
    yield api.wait_for_agents(chosen) | api.agents_in([dispatch.room for dispatch, _ in REJECTED])
    # An agent that is still connecting would make its room anew, and the worker would wait for it.
    poll_until(lambda: all(one.state == ACTIVE for room in chosen for one in api.participants(room)))
    api.delete_all_rooms()


@pytest.mark.parametrize(
    ("dispatch", "agent", "rule"),
    [(dispatch, agent, rule) for dispatch, _, agent, rule in CHOSEN],
    ids=lambda value: value.room if isinstance(value, Dispatch) else None,
)
def test_a_dispatch_reaches_the_agent_that_the_rules_choose(
    api: ServerApi, worker: WorkerProcess, agents: dict[str, list[str]], dispatch: Dispatch, agent: str, rule: str
) -> None:
    (identity,) = agents[dispatch.room]
    assert identity.startswith(f"{agent}-")
    (participant,) = api.participants(dispatch.room)
    assert participant.attributes["lk.agent.name"] == agent
    (decided,) = worker.records(rf"room '{dispatch.room}': \S+ by ")
    assert decided["message"].startswith(f"room '{dispatch.room}': {agent} by {rule}:")


@pytest.mark.parametrize(("dispatch", "reason"), REJECTED, ids=["unknown-agent", "router-rejects"])
def test_a_rejected_dispatch_gets_no_agent_and_a_line_in_the_log(
    worker: WorkerProcess, agents: dict[str, list[str]], dispatch: Dispatch, reason: str
) -> None:
    line = worker.wait_for_log(f"room '{dispatch.room}': rejected")
    assert reason in line.replace('\\"', '"')
    assert agents[dispatch.room] == []


def test_a_token_that_brings_its_agent_is_routed_by_its_metadata_and_the_agent_is_heard(
    api: ServerApi, worker: WorkerProcess, callers: CallersProcess
) -> None:
    dispatch = Dispatch(room="token-room", agent_name=FRONT, metadata='{"agent": "gamma"}')
    caller = callers.join("ann", api.token("token-room", "ann", agents=[dispatch]), speaks=False)
    assert caller.wait_for_tones(TONES) == {"gamma"}
    (recording,) = caller.recordings()
    assert recording.identity.startswith("gamma-")


def test_without_an_agent_name_every_new_room_gets_its_agent_by_itself(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    start_worker("--allow", "tone-agents", folders=[TONE_AGENTS.install_into(tmp_path / "packages")])
    caller = callers.join("bob", api.token("beta-auto", "bob"), speaks=False)
    agent = caller.wait_for_agent()
    assert agent["identity"].startswith("beta-")
    assert caller.wait_for_tones(TONES) == {"beta"}
