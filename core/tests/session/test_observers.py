"""What observers are told of a call: its metadata as strings, and how it ended."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.observer import SessionStatus
from openrtc.model.request import RouteRequest
from openrtc.observe.event_stream import EventStream
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.observers import Observers
from openrtc.runtime.live_call import LiveCall
from openrtc.session.observers import STOPPED, judge_end, merge_metadata, tell_observers_of_start, watch_observed


class Ledger:
    def __init__(self) -> None:
        self.pages: list[Any] = []

    async def on_session_start(self, info: Any, session: Any) -> None:
        self.pages.append((info, session))

    async def on_session_end(self, info: Any, outcome: Any) -> None:
        self.pages.append((info, outcome))


def live_call(**values: Any) -> LiveCall:
    return LiveCall(events=EventStream(), job_id="AJ_1", room="r", agent="support", distribution="", **values)


@pytest.mark.parametrize(
    ("room", "dispatch", "metadata"),
    [
        ("", "", {"tenant": "default"}),
        ('{"a": 1, "tenant": "acme"}', '{"a": true, "b": null}', {"a": "True", "b": "None", "tenant": "acme"}),
        ("no json", '["x"]', {"tenant": "default"}),
        ("", '{"tenant": ""}', {"tenant": "default"}),
    ],
)
def test_the_metadata_are_strings_and_the_dispatchs_go_before(room: str, dispatch: str, metadata: Any) -> None:
    assert merge_metadata(RouteRequest.parse(room_name="r", room_metadata=room, job_metadata=dispatch)) == metadata


def test_how_a_call_ended() -> None:
    error = LookupError("x")
    assert judge_end(live_call(), "everybody has left") == (SessionStatus.SUCCESS, None)
    assert judge_end(live_call(failed=True, error=error), "job crashed") == (SessionStatus.FAILED, error)
    assert isinstance(judge_end(live_call(failed=True), "lost")[1], RuntimeError)
    assert judge_end(live_call(cancelled=error), "gone") == (SessionStatus.CANCELLED, error)
    for left_at in (None, time.monotonic()):  # the agent has left its room
        status, cancelled = judge_end(live_call(left_at=left_at), STOPPED)
        assert status is SessionStatus.CANCELLED and isinstance(cancelled, asyncio.CancelledError)
    waited_for = live_call(left_at=time.monotonic() - 60.0)
    assert judge_end(waited_for, STOPPED)[0] is SessionStatus.SUCCESS, "only its caller was waited for"


async def test_an_end_is_told_also_without_a_start() -> None:
    ledger = Ledger()
    runtime: Any = SimpleNamespace(observers=Observers((ledger,), "v2"), hooks=Hooks())
    callbacks: list[Any] = []
    context: Any = SimpleNamespace(add_shutdown_callback=callbacks.append)
    request = RouteRequest.parse(room_name="r", job_metadata='{"tenant": "acme"}')
    call = Call(job_id="AJ_1", agent_name="support", request=request, decision=Decision.to("support", reason="x"))
    live = live_call()
    live.emit_error("agent", LookupError("no key"), "", fatal=True)
    watch_observed(context, call, live, runtime)
    await callbacks[0]("job crashed")
    ((info, outcome),) = ledger.pages
    assert (info.agent_name, info.room_name, info.job_id, info.tenant) == ("support", "r", "AJ_1", "acme")
    assert info.deployment_version == "v2"
    assert (outcome.status, repr(outcome.error)) == (SessionStatus.FAILED, "LookupError('no key')")
    assert outcome.duration_seconds == outcome.ended_at - info.started_at >= 0.0
    await tell_observers_of_start(call, "session")  # type: ignore[arg-type]
    assert ledger.pages[1] == (info, "session")


async def test_without_observers_nothing_is_kept() -> None:
    runtime: Any = SimpleNamespace(observers=Observers())
    call: Any = SimpleNamespace(job_id="AJ_2")
    watch_observed(SimpleNamespace(), call, live_call(), runtime)  # type: ignore[arg-type]
    await tell_observers_of_start(call, "session")  # type: ignore[arg-type]
