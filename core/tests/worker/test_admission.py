"""Which jobs a worker has room for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc import AgentSpec, Cast, Decision, Member
from openrtc.catalog.catalog import Catalog
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallRejected, Event
from openrtc.worker.admission import Admission, attach_decision
from openrtc.worker.waiting_calls import WaitingCalls


def make() -> None: ...


async def test_a_call_of_a_cast_takes_a_slot_of_each_member_that_has_limits() -> None:
    desk = AgentSpec(
        name="desk", cast=Cast(members=[Member(role="boss", agent=make), Member(role="help", agent="support")])
    )
    catalog = Catalog.of(specs=[AgentSpec(name="support", agent=make, max_sessions=1), desk])
    job = proto.Job(id="AJ_1", room=models.Room(name="desk-1"))
    attach_decision(job, Decision.to("desk"))
    runtime: Any = SimpleNamespace(
        catalog=catalog, get_session_limit=lambda name: {"support": 1}.get(name), events=EventStream()
    )
    admission = Admission(runtime, 10, lambda: [job], WaitingCalls(lambda *_: None))
    assert admission._why_agent_full("support") == "all 1 sessions of agent 'support' are taken"
    assert admission._why_agent_full("desk") is None


class Request:
    """A job request, and the answers to it."""

    def __init__(self, job: proto.Job) -> None:
        self.job, self.id, self.room = job, job.id, job.room
        self.rejected: list[bool] = []

    async def reject(self, *, terminate: bool) -> None:
        self.rejected.append(terminate)


async def test_a_second_agent_is_declined_for_good_also_when_the_worker_is_full() -> None:
    events = EventStream()
    told: list[Event] = []
    events.subscribe(told.append)
    runtime: Any = SimpleNamespace(events=events)

    async def why_second(job: proto.Job) -> str | None:
        return "its agent is live here" if job.id == "AJ_2" else None

    admission = Admission(runtime, 0, list, WaitingCalls(lambda *_: None), why_second)
    requests: Any = [Request(proto.Job(id=f"AJ_{number}", room=models.Room(name="r"))) for number in (1, 2)]
    for request in requests:
        await admission.answer(request)
    assert [request.rejected for request in requests] == [[False], [True]], "another worker may have a free slot"
    assert [event.cause for event in told if isinstance(event, CallRejected)] == ["full", "second_agent"]
