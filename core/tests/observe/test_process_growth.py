"""By how much a process grows a call, from looks at it as its calls end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from openrtc.observe import process_growth
from openrtc.observe.process_growth import SETTLED_SECONDS, ProcessGrowth


class Process:
    """A process whose memory and descriptors are what a test says, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.memory = 200_000_000
        self.descriptors: int | None = 40
        monkeypatch.setattr(process_growth, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.growth = ProcessGrowth(lambda: self.memory, lambda: self.descriptors)
        self.ended = 0

    def end_call(self, *, memory: int = 0, descriptors: int = 0, live: int = 0, then: float = SETTLED_SECONDS) -> None:
        """End a call by which the process has grown, and look at it after some seconds as well."""
        self.ended += 1
        self.memory += memory
        self.descriptors = None if self.descriptors is None else self.descriptors + descriptors
        self.growth.look(self.ended, live)
        self.now += then
        self.growth.look(self.ended, live)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    return Process(monkeypatch)


def test_what_each_call_leaves_is_found_beside_what_grew_once(process: Process) -> None:
    process.end_call(memory=30_000_000, descriptors=12)
    for _ in range(10):
        process.end_call(memory=400_000, descriptors=2)
    growth = process.growth.estimate()
    assert growth and growth.to_json() == {"calls": 10, "memory_mb": 0.4, "descriptors": 2.0}


def test_nothing_is_said_after_few_calls(process: Process) -> None:
    for _ in range(4):
        process.end_call(memory=400_000)
    assert process.growth.estimate() is None


def test_a_process_that_does_not_grow_has_grown_by_nothing(process: Process) -> None:
    for number in range(12):
        process.end_call(memory=(-1) ** number * 100_000)
    growth = process.growth.estimate()
    assert growth and abs(growth.memory_mb) < 0.02 and growth.descriptors == 0


def test_calls_that_are_live_count_for_nothing(process: Process) -> None:
    for number in range(12):
        live = number % 2
        process.memory += 50_000_000 * (1 if live else -1)
        process.end_call(memory=100_000, live=live)
    growth = process.growth.estimate()
    assert growth and growth.memory_mb == 0.1


def test_it_is_looked_at_when_calls_never_stop_ending(process: Process) -> None:
    for _ in range(60):
        process.end_call(memory=100_000, then=1.0)
    growth = process.growth.estimate()
    assert growth and growth.memory_mb == 0.1 and growth.calls >= 40


def test_a_system_that_does_not_count_descriptors_has_none(process: Process) -> None:
    process.descriptors = None
    for _ in range(6):
        process.end_call(memory=100_000)
    growth = process.growth.estimate()
    assert growth and (growth.memory_mb, growth.descriptors) == (0.1, None)


def test_this_process_can_be_looked_at() -> None:
    growth = ProcessGrowth()
    for ended in range(10, 60, 10):
        growth.look(ended, 0)
    found = growth.estimate()
    assert found and found.calls == 40 and found.descriptors is not None
