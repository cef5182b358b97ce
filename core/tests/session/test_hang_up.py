"""What an agent's code still does when everybody has left is ended; a session that does not close is given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from openrtc.session import hang_up as module
from openrtc.session.hang_up import CallIsOver, CallWasEnded, HangUp, limit_close, limit_method, limit_tool

KINDS = rtc.ParticipantKind
TOOL_SECONDS = 0.4


class Room(rtc.EventEmitter[str]):
    """A room with a caller and a recorder."""

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, Any] = {}
        self.connected = True
        self.join("caller", KINDS.PARTICIPANT_KIND_SIP)
        self.join("recorder", KINDS.PARTICIPANT_KIND_EGRESS)

    def join(self, identity: str, kind: int) -> None:
        joined = SimpleNamespace(kind=kind, permissions=SimpleNamespace(hidden=False))
        self.remote_participants[identity] = joined
        self.emit("participant_connected", joined)

    def leave(self, identity: str) -> None:
        self.emit("participant_disconnected", self.remote_participants.pop(identity))

    def disconnect(self) -> None:
        self.connected = False
        self.emit("disconnected", 0)

    def isconnected(self) -> bool:
        return self.connected


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    room = Room()
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(module, "LATE_SECONDS", 0.2)
    monkeypatch.setattr(module, "LEAST_CLOSE_SECONDS", 0.0)
    watch = HangUp(room, TOOL_SECONDS)  # type: ignore[arg-type]
    monkeypatch.setattr(module, "get_job_context", lambda required: None)
    monkeypatch.setattr(module, "find_hang_up", lambda context: watch)
    return room


async def start(limit: contextlib.AbstractContextManager[None], seconds: float = 1.5) -> asyncio.Task[str]:
    async def hang() -> str:
        with limit:
            await asyncio.sleep(seconds)
        return "went on"

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    return task


async def test_what_hangs_is_cancelled_when_only_a_recorder_is_left(room: Room) -> None:
    task = await start(limit_method("on_enter"))
    room.leave("caller")
    with pytest.raises(CallIsOver, match=r"on_enter still waited 0.2 s after everybody had left"):
        await task
    assert task.cancelling() == 0, "the cancellation has ended here"


async def test_what_hangs_goes_on_while_the_caller_is_there(room: Room) -> None:
    task = await start(limit_method("on_enter"))
    room.leave("recorder")
    assert await task == "went on"


async def test_what_hangs_goes_on_when_somebody_comes_back_in_time(room: Room) -> None:
    task = await start(limit_tool())
    room.leave("caller")
    room.join("caller", KINDS.PARTICIPANT_KIND_STANDARD)
    assert await task == "went on"


async def test_a_cancellation_of_somebody_else_stays_one(room: Room) -> None:
    task = await start(limit_method("on_enter"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_tool_has_its_own_time(room: Room) -> None:
    quick, hangs = await start(limit_tool(), 0.2), await start(limit_tool())
    room.leave("caller")
    assert await quick == "went on"
    with pytest.raises(CallIsOver, match=r"a tool still waited 0.4 s"):
        await hangs


async def test_a_tool_that_begins_later_has_what_is_left_and_on_exit_its_own_time(room: Room) -> None:
    room.leave("caller")
    await asyncio.sleep(0.3)
    tool, leaving = await start(limit_tool()), await start(limit_method("on_exit"), 0.05)
    with pytest.raises(CallIsOver):
        await asyncio.wait_for(tool, 0.35)
    assert await leaving == "went on"


async def test_who_is_put_out_of_the_room_sees_nobody_leave(room: Room) -> None:
    task = await start(limit_tool())
    room.disconnect()
    with pytest.raises(CallIsOver):
        await task


async def test_nobody_has_left_a_room_that_nobody_came_to(room: Room) -> None:
    room.remote_participants.pop("caller")
    task = await start(limit_tool())
    room.leave("recorder")
    assert await task == "went on"


async def test_a_call_that_does_not_end_is_overdue_unless_somebody_comes_back(room: Room) -> None:
    overdue: list[str] = []
    module.find_hang_up(None).call_when_overdue(lambda: overdue.append("now"))  # type: ignore[union-attr]
    room.leave("caller")
    await asyncio.sleep(0)
    room.join("caller", KINDS.PARTICIPANT_KIND_STANDARD)
    await asyncio.sleep(0.6)
    assert overdue == []
    room.leave("caller")
    await asyncio.sleep(0.8)
    assert overdue == ["now"]


async def test_a_call_that_is_over_is_kept_by_no_timer(room: Room) -> None:
    overdue: list[int] = []
    watch = module.find_hang_up(None)
    assert watch is not None
    watch.call_when_overdue(lambda: overdue.append(1))
    room.leave("caller")
    watch.close()
    await asyncio.sleep(TOOL_SECONDS + 0.4)
    assert not overdue


class Session:
    """A session that takes its time to close."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        limit_close(self, None, SimpleNamespace(agent="support", fields={}))  # type: ignore[arg-type]

    async def aclose(self) -> None:
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error


async def test_a_session_that_closes_in_time_is_waited_for(room: Room) -> None:
    with pytest.raises(ValueError, match="its own"):
        await Session(0.05, ValueError("its own")).aclose()


async def test_a_session_that_does_not_close_is_given_up_in_one_line(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.leave("caller")
    with caplog.at_level(logging.WARNING, "openrtc.worker"):
        await asyncio.wait_for(asyncio.gather(Session(9).aclose(), Session(9).aclose()), 3.0)
    assert [record.getMessage() for record in caplog.records] == [
        "agent 'support': its session was not closed in time after everybody had left: the call ends without that"
    ]


async def test_livekit_agents_does_not_have_to_give_up_first(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    await asyncio.wait_for(Session(1.0).aclose(), 0.5)
    assert caplog.records == []


async def test_what_awaits_a_task_of_an_agent_is_ended_after_what_runs_in_it(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NESTED_SECONDS", 0.05)
    ended: list[str] = []

    async def run(name: str, limit: contextlib.AbstractContextManager[None]) -> None:
        with contextlib.suppress(CallIsOver), limit:
            await asyncio.sleep(9)
        ended.append(name)

    watch: Any = module.find_hang_up(None)
    tasks = [asyncio.create_task(run("on_enter", limit_method("on_enter")))]
    for name in ("tool", "tool of a task"):
        await asyncio.sleep(0)
        watch.note_agent()
        tasks.append(asyncio.create_task(run(name, limit_tool())))
    await asyncio.sleep(0)
    room.leave("caller")
    await asyncio.wait_for(asyncio.gather(*tasks), 3.0)
    assert ended == ["tool of a task", "tool", "on_enter"]


async def test_what_hangs_is_cancelled_when_the_call_is_ended_whoever_is_there(room: Room) -> None:
    task = await start(limit_tool())
    watch: HangUp = module.find_hang_up(None)  # type: ignore[assignment]  # the fixture's
    watch.cut(0.1)
    with pytest.raises(CallWasEnded, match="a tool still waited when its call was ended"):
        await task
    later = await start(limit_method("on_exit"))
    room.join("second", KINDS.PARTICIPANT_KIND_STANDARD)
    with pytest.raises(CallWasEnded, match="on_exit still waited when its call was ended"):
        await later
    assert not watch.has_work()
