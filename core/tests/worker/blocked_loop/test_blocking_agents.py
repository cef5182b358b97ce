from __future__ import annotations

import pytest

from openrtc.observe.events import CallRouted, LoopBlocked
from openrtc.worker.blocked_loop.blocking_agents import CALLS_REMEMBERED, BlockingAgents


class Calls:
    """Calls of agents, and which of these were found."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._sink = BlockingAgents(self.found.append)
        self._count = 0

    def hold(self, agent: str, *blocks: float) -> None:
        self._count += 1
        job_id = f"job-{self._count}"
        self._sink(CallRouted(job_id=job_id, room="r", agent=agent, rule="test", reason="", ms=0.0))
        for seconds in blocks:
            for ongoing in (True, False):
                self._sink(LoopBlocked(job_id=job_id, room="r", agent=agent, seconds=seconds, ongoing=ongoing))


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_an_agent_that_blocks_the_loop_in_two_calls_is_found_once(calls: Calls) -> None:
    calls.hold("slow", 0.6)
    assert calls.found == []
    calls.hold("slow", 0.5)
    calls.hold("slow", 2.0)
    assert calls.found == ["slow"]


def test_one_call_that_blocks_several_times_counts_once(calls: Calls) -> None:
    calls.hold("slow", 0.6, 0.7, 3.0)
    assert calls.found == []


def test_short_blocks_do_not_count(calls: Calls) -> None:
    for _ in range(5):
        calls.hold("quick", 0.49)
    assert calls.found == []


def test_only_the_last_calls_count(calls: Calls) -> None:
    calls.hold("slow", 0.6)
    for _ in range(CALLS_REMEMBERED - 1):
        calls.hold("slow")
    calls.hold("slow", 0.6)
    assert calls.found == []
    calls.hold("slow", 0.6)
    assert calls.found == ["slow"]


def test_calls_of_other_agents_do_not_count(calls: Calls) -> None:
    calls.hold("slow", 0.6)
    for _ in range(CALLS_REMEMBERED):
        calls.hold("quick")
    calls.hold("other", 0.6)
    assert calls.found == []
    calls.hold("slow", 0.6)
    assert calls.found == ["slow"]


def test_a_block_of_no_call_is_nobodys(calls: Calls) -> None:
    for _ in range(3):
        calls._sink(LoopBlocked(job_id="", room="", seconds=1.0, ongoing=False))
    assert calls.found == []
