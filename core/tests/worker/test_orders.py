"""What an operator orders of a running worker."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc import Decision
from openrtc.catalog.catalog import Catalog
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallRejected, Event
from openrtc.observe.snapshots import SnapshotServer, send_order
from openrtc.observe.sockets import make_private_folder, snapshot_path
from openrtc.plugins.load import LoadedAgent
from openrtc.settings.config import Config, WorkerSettings
from openrtc.worker.admission import Admission
from openrtc.worker.orders import Orders
from openrtc.worker.waiting_calls import WaitingCalls

JOB = proto.Job(id="AJ_1", room=models.Room(name="support-1"))


def orders_for(*agents: str) -> Orders:
    return Orders(WorkerSettings(), lambda: agents, lambda: [JOB], lambda *_: None)


def test_an_agent_is_paused_and_resumed_and_each_answer_says_what_holds() -> None:
    orders = orders_for("support", "sales")
    pause, resume = {"order": "pause", "agent": "support"}, {"order": "resume", "agent": "support"}
    assert orders.carry_out(resume) == {"done": "agent 'support' was not paused"}
    assert "no new calls" in orders.carry_out(pause)["done"]
    assert orders.carry_out(pause) == {"done": "agent 'support' is paused already"}
    assert orders.why_paused(["sales"]) is None
    assert orders.why_paused(["sales", "support"]) == "agent 'support' is paused (openrtc resume support)"
    assert "new calls again" in orders.carry_out(resume)["done"]
    assert orders.why_paused(["support"]) is None


@pytest.mark.parametrize(
    ("order", "refused"),
    [
        ({"order": "pause", "agent": "suport"}, """there is no agent 'suport' (did you mean "support"?)"""),
        ({"order": "end", "job_id": "AJ_9"}, "call AJ_9 is not live (openrtc top --json shows the calls)"),
        ({"order": "drain"}, "it is starting"),
        ({"order": "drain-all"}, "it is starting"),
        ({"order": "pause"}, "this worker knows no such order: {'order': 'pause'}"),
        ({"order": "pause", "agent": 1}, "this worker knows no such order: {'order': 'pause', 'agent': 1}"),
        ({}, "this worker knows no such order: {}"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(order: dict[str, Any], refused: str) -> None:
    assert orders_for("support").carry_out(order) == {"refused": refused}


def test_a_worker_without_a_file_has_nothing_to_forget_and_one_with_it_says_of_what_it_writes_no_more() -> None:
    orders, order = orders_for("support"), {"order": "forget", "identity": "ann"}
    assert orders.carry_out(order) == {"done": "it writes no events into a file"}
    orders.forget = lambda identity: {"done": f"writes no more of {identity}"}
    assert orders.carry_out(order) == {"done": "writes no more of ann"}


def test_a_worker_says_which_agents_it_has_and_nothing_before_it_knows_them() -> None:
    orders = orders_for("support")
    assert orders.carry_out({"order": "agents"}) == {"done": "", "agents": None}
    orders.describe_agents = lambda: [{"name": "support"}]
    assert orders.carry_out({"order": "agents"}) == {"done": "", "agents": [{"name": "support"}]}


async def test_the_one_or_all_workers_of_a_supervisor_drain() -> None:
    orders, told = orders_for("support"), []
    orders.follow(lambda: told.append("one"), lambda: told.append("all"))
    for order in ("drain", "drain-all"):
        answer = await asyncio.to_thread(orders.carry_out, {"order": order})
        assert answer == {"done": "takes no new calls, and ends when its live ones have (1 now)"}
    await asyncio.sleep(0)
    assert told == ["one", "all"]


async def test_a_call_for_a_paused_agent_is_left_to_another_worker() -> None:
    events, orders = EventStream(), orders_for("support")
    told: list[Event] = []
    events.subscribe(told.append)

    async def route(_: object) -> Decision:
        return Decision.to("support")

    catalog = Catalog((LoadedAgent(name="support"),))
    router = SimpleNamespace(route=route)
    runtime: Any = SimpleNamespace(config=Config(), events=events, router=router, catalog=catalog)
    waiting = WaitingCalls(lambda *_: None)
    admission = Admission(runtime, 10, list, waiting, why_paused=orders.why_paused)
    rejected: list[bool] = []

    async def reject(*, terminate: bool) -> None:
        rejected.append(terminate)

    orders.carry_out({"order": "pause", "agent": "support"})
    request: Any = SimpleNamespace(job=JOB, id=JOB.id, room=JOB.room, reject=reject)
    await admission.answer(request)
    assert (rejected, admission.taken) == ([False], 0)
    assert [event.cause for event in told if isinstance(event, CallRejected)] == ["paused"]


@pytest.mark.usefixtures("runtime_folder")
def test_an_order_comes_through_the_socket_of_top() -> None:
    make_private_folder()
    orders = orders_for("support")
    server = SnapshotServer(snapshot_path(os.getpid()), dict, orders.carry_out)
    assert "no new calls" in send_order(os.getpid(), {"order": "pause", "agent": "support"})["done"]
    assert orders.paused == {"support"}
    server.close()
    assert send_order(os.getpid(), {"order": "drain"})["refused"].startswith("it does not answer: ")
    earlier = SnapshotServer(snapshot_path(os.getpid()), lambda: {"pid": 1}, lambda _: {"pid": 1})
    assert send_order(os.getpid(), {"order": "drain"}) == {"refused": "it takes no orders"}
    earlier.close()
