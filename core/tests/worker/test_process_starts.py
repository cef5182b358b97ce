"""An agent whose processes fail to start three times in a row is broken, with back-off, until one starts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

import pytest

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import AgentBroken, AgentRecovered, Event
from openrtc.worker import process_starts
from openrtc.worker.process_starts import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, TRIED_SECONDS, ProcessStarts


class Pool:
    """What a pool is told, and when it is to try again."""

    def __init__(self, agents: Mapping[str, str], newer: Collection[str] = ()) -> None:
        self.events: list[Event] = []
        stream = EventStream()
        stream.subscribe(self.events.append)
        self.newer = set(newer)
        self.starts = ProcessStarts(stream, lambda: self.agents, self.newer.__contains__)
        self.agents = dict(agents)
        self.held: list[str] = []
        self.retries = 0
        self.starts.follow(self._hold, self._retry)

    def _hold(self, reason: str) -> None:
        self.held.append(reason)

    def _retry(self) -> None:
        self.retries += 1


@pytest.fixture
async def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds after which something was to be tried again; it is at once."""
    found: list[float] = []
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def note(seconds: float, call: object, *arguments: object, **more: object) -> asyncio.TimerHandle:
        if getattr(call, "__self__", None).__class__ is ProcessStarts:
            found.append(seconds)
            seconds = 0.0
        return later(seconds, call, *arguments, **more)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(loop, "call_later", note)
    return found


async def run_until(holds: Callable[[], object]) -> None:
    for _ in range(1000):  # turns of the loop, in which nothing else waits
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it has not come to hold")


async def test_the_third_start_that_fails_breaks_all_agents_and_the_first_that_does_not_ends_that(
    delays: list[float],
) -> None:
    pool = Pool({"desk": "my-desk", "shop": "my-shop"})
    for _ in range(2):
        pool.starts.note_failed(7, "its process ended with exit code 3")
    assert pool.starts.why_broken(["desk"]) is None and not pool.events
    assert pool.held == ["", ""]
    pool.starts.note_failed(None, "its process ended with exit code 3")
    assert pool.held[-1] == "its process ended with exit code 3"
    assert pool.starts.why_broken(["desk", "other"]) == "agent 'desk' is broken: its process ended with exit code 3"
    assert {name: str(one.state) for name, one in pool.starts.statuses.items()} == {"desk": "broken", "shop": "broken"}
    broken = [event for event in pool.events if isinstance(event, AgentBroken)]
    assert [(one.agent, one.distribution) for one in broken] == [("desk", "my-desk"), ("shop", "my-shop")]
    for _ in range(8):
        await asyncio.sleep(0.01)
        pool.starts.note_failed(8, "its process ended with exit code 3")
    assert delays == [FIRST_RETRY_SECONDS * 2**turn for turn in range(6)] + [LONGEST_RETRY_SECONDS] * 3
    assert len([event for event in pool.events if isinstance(event, AgentBroken)]) == 2, "the same is told once"
    pool.starts.note_started({})
    assert pool.starts.why_broken(["desk", "shop"]) is None and not pool.starts.statuses
    assert not pool.held[-1]
    assert [event.agent for event in pool.events if isinstance(event, AgentRecovered)] == ["desk", "shop"]
    for _ in range(3):
        pool.starts.note_failed(9, "again")
    assert delays[-1] == FIRST_RETRY_SECONDS
    pool.starts.close()


async def test_only_the_agent_is_broken_that_processes_come_up_without(delays: list[float]) -> None:
    pool = Pool({"desk": "my-desk", "shop": "my-shop"})
    reason = "my-desk 1.1 was installed after this worker loaded 1.0"
    for _ in range(2):
        pool.starts.note_started({"desk": reason})
        assert not pool.starts.may_serve(["desk"]), "another process is tried in its place"
    pool.starts.note_started({"desk": reason})
    assert pool.starts.why_broken(["shop"]) is None and not any(pool.held)
    assert pool.starts.why_broken(["shop", "desk"]) == f"agent 'desk' is broken: {reason}"
    assert pool.starts.may_serve(["desk"]), "calls of the other agent can have it"
    await asyncio.sleep(0.01)
    assert (pool.retries, delays) == (1, [FIRST_RETRY_SECONDS, TRIED_SECONDS])
    del pool.agents["desk"]
    pool.starts.note_started({})
    assert not pool.starts.statuses


async def test_what_is_newer_code_is_broken_at_once_and_tried_again_when_it_is_not(delays: list[float]) -> None:
    pool = Pool({"desk": "my-desk", "shop": "my-shop"}, newer={"my-desk"})
    pool.starts.note_started({"desk": "my-desk 1.1 was installed", "shop": "no memory"})
    assert set(pool.starts.statuses) == {"desk"} and pool.starts.may_serve(["desk"])
    await run_until(lambda: len(delays) >= 5)
    assert pool.retries == 0 and set(delays) == {FIRST_RETRY_SECONDS}, "no process would come up otherwise"
    pool.newer.clear()
    await run_until(lambda: pool.retries)
    pool.starts.note_started({"desk": "no memory"})
    assert pool.starts.statuses, "what was tried has failed"
    await run_until(lambda: TRIED_SECONDS in delays and not pool.starts.statuses)
    pool.starts.note_started({"desk": "no memory"})
    assert pool.starts.statuses, "a call was let in, since none was started to find it out"
    pool.starts.note_started({})
    assert not pool.starts.statuses


async def test_what_livekit_agents_says_of_a_start_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("livekit.agents")
    monkeypatch.setattr(log, "filters", [])  # a worker's is the first, since it is there before any call
    pool = Pool({"desk": "my-desk"})
    for _ in range(3):
        try:
            raise RuntimeError("process initialization failed: no\nmemory")
        except RuntimeError:
            log.exception(process_starts._FAILED, extra={"pid": 71})
        pool.starts.note_failed(71, "its process ended with exit code 0 before it was ready")
    assert pool.starts.why_broken(["desk"]) == "agent 'desk' is broken: no memory"
    assert "Traceback" not in caplog.text and "a job process could not be started: no memory" in caplog.text
    pool.starts.close()
