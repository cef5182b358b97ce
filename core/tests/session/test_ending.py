"""How a call is ended politely: the sentence, what still runs, who ends it, and that it is done once."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.request import RouteRequest
from openrtc.observe.event_stream import EventStream
from openrtc.runtime.live_call import LiveCall
from openrtc.session import ending as module
from openrtc.session.ending import CallEnding, end_call, find_ending, watch_ending
from openrtc.settings.config import WorkerSettings
from waiting import wait_until


class Context:
    """A job's context, as far as it is used."""

    def __init__(self, **has: Any) -> None:
        vars(self).update(has)


class Scene:
    """A call without a room."""

    def __init__(self) -> None:
        self.done: list[str] = []
        context = self.context = cast(Any, Context)(
            job=SimpleNamespace(id="AJ_1", room=SimpleNamespace(name="r")),
            shutdown=lambda reason: self.done.append(f"end: {reason}"),
            add_shutdown_callback=lambda callback: setattr(self, "close", callback),
            is_fake_job=lambda: True,
        )
        self.live = LiveCall(events=EventStream(), job_id="AJ_1", room="r", agent="a", distribution="")
        self.ending: CallEnding = watch_ending(context, self.live, WorkerSettings(), "Good bye.", ())
        self.ending.leave_to(self.say, self.context.shutdown, "")

    async def say(self, words: str) -> None:
        self.done.append(f"say: {words}")


async def test_a_plugin_ends_a_call_from_any_thread_once(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    request = RouteRequest.parse(room_name="r", job_id="AJ_1")
    decision = Decision.to("a", reason="x")
    call = Call(
        job_id="AJ_1",
        agent_name="a",
        request=request,
        decision=decision,
        ending=lambda reason, goodbye: end_call("AJ_1", reason, goodbye),
    )
    thread = threading.Thread(target=call.end, args=("the budget of 1 USD\nis spent",))
    thread.start()
    thread.join()
    call.end("again")
    await wait_until(lambda: len(scene.done) == 2)
    assert scene.done == ["say: Good bye.", "end: the budget of 1 USD is spent"]
    assert "agent 'a': the budget of 1 USD is spent; this call is ended" in caplog.messages
    await asyncio.sleep(0.05)
    assert len(scene.done) == 2


async def test_a_call_that_is_over_is_not_ended() -> None:
    scene = Scene()
    await scene.close()  # type: ignore[attr-defined]  # set by the ending
    scene.ending.end("late")
    await asyncio.sleep(0.05)
    assert scene.done == []
    del scene
    end_call("AJ_1", "gone", None)
    Call(job_id="AJ_1", agent_name="a", request=None, decision=None).end("x")  # type: ignore[arg-type]


@pytest.mark.parametrize("goodbye", ["", "So long."])
async def test_the_sentence_may_be_another_or_none(goodbye: str) -> None:
    scene = Scene()
    scene.ending.end("why", goodbye)
    await wait_until(lambda: "end: why" in scene.done)
    assert scene.done == [*([f"say: {goodbye}"] if goodbye else []), "end: why"]


async def test_nothing_is_said_to_nobody_and_what_still_runs_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    hang_up = SimpleNamespace(has_people=False, cut=lambda seconds: scene.done.append(f"cut in {seconds:g} s"))
    monkeypatch.setattr(module, "find_hang_up", lambda _: hang_up)
    scene.ending.end("why")
    await wait_until(lambda: "end: why" in scene.done)
    assert scene.done == [f"cut in {module.CODE_SECONDS:g} s", "end: why"]


async def test_a_voice_that_fails_or_does_not_come_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GOODBYE_SECONDS", 0.1)

    async def fail(_: str) -> None:
        raise RuntimeError("no voice")

    async def hang(_: str) -> None:
        await asyncio.Event().wait()

    for say in (fail, hang):
        scene = Scene()
        scene.ending.leave_to(say, scene.context.shutdown, "")
        scene.ending.end("why")
        await wait_until(lambda: scene.done == ["end: why"])  # noqa: B023 - waited for here


async def test_what_holds_the_call_is_broken_off_as_if_it_had_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CODE_SECONDS", 0.1)
    scene = Scene()

    async def hold() -> str:
        with scene.ending.break_off():
            await asyncio.Event().wait()
        return "returned"

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    scene.ending.end("why")
    assert await holding == "returned"
    assert holding.cancelling() == 0

    other = asyncio.create_task(hold())
    await asyncio.sleep(0)
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert find_ending("AJ_1") is scene.ending
