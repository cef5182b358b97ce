"""A worker takes as many sessions as it has descriptors for, and says so where that, or its limit, has changed."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from livekit.agents import Agent

from openrtc import AgentSpec, Cast, Member
from openrtc.errors import OpenRTCError
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, WorkerSettings
from openrtc.worker import descriptors
from openrtc.worker.descriptors import FOR_OTHERS, PER_LOOP, PER_MEMBER, PER_PROCESS, fit_sessions

OPEN = 20
OWN = OPEN + FOR_OTHERS


def build() -> Agent:
    return Agent(instructions="x")


SINGLE = AgentSpec(name="single", agent=build)
TRIO = AgentSpec(
    name="trio", cast=Cast(members=[Member(role=role, agent=AgentSpec(name=role, agent=build)) for role in "abc"])
)


class Process:
    """Limits of a process that has `OPEN` descriptors.

    Args:
        soft: How many it may open.
        hard: To how many it may raise that.
        allowed: How many the system really allows, whatever the hard limit says.
    """

    def __init__(self, soft: int, hard: float = math.inf, allowed: float = math.inf) -> None:
        self.limits: tuple[int, float] | None = (soft, hard)
        self.free: int | None = soft - OPEN
        self._allowed = allowed

    def raise_limit(self, soft: int) -> bool:
        assert self.limits is not None and self.limits[0] < soft <= self.limits[1]
        if soft > self._allowed:
            return False
        self.limits = (soft, self.limits[1])
        return True


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """Return how many sessions a worker takes, and what it says."""

    def fit(process: Process, sessions: int = 50, spec: AgentSpec = SINGLE, **config: Any) -> tuple[int, list[str]]:
        monkeypatch.setattr(descriptors, "read_descriptor_limits", lambda: process.limits)
        monkeypatch.setattr(descriptors, "count_free_descriptors", lambda: process.free)
        monkeypatch.setattr(descriptors, "raise_descriptor_limit", process.raise_limit)
        runtime = runtime_of(sessions, spec, **config)
        caplog.clear()
        with caplog.at_level(logging.INFO, "openrtc.worker"):
            fitted = fit_sessions(runtime)
        assert runtime.config.worker.max_sessions == sessions, "the runtime that was given stays as it is"
        assert fitted.catalog is runtime.catalog and fitted.events is runtime.events
        return fitted.config.worker.max_sessions, [record.getMessage() for record in caplog.records]

    return fit


def runtime_of(sessions: int, spec: AgentSpec, isolation: str = "coroutine") -> Runtime:
    worker = WorkerSettings(max_sessions=sessions, isolation=isolation)
    return build_runtime(Config(worker=worker), specs=[spec], discovered=False)


def test_fifty_sessions_fit_under_the_usual_limit_and_nothing_is_said(fit: Any) -> None:
    assert fit(Process(1024, 1024)) == (50, [])


def test_the_limit_is_raised_as_far_as_the_sessions_need_it(fit: Any) -> None:
    process, needed = Process(1024), OWN + 100 * PER_MEMBER
    sessions, lines = fit(process, 100)
    assert sessions == 100 and process.limits == (needed, math.inf)
    text = f"100 sessions need up to {PER_MEMBER} descriptors each of this process"
    assert lines == [f"{text}; its limit was raised from 1024 to {needed}"]


def test_fewer_sessions_are_taken_where_the_limit_cannot_be_raised(fit: Any) -> None:
    process = Process(OWN + 4 * PER_MEMBER - 1, OWN + 10 * PER_MEMBER - 1)
    soft, hard = process.limits or (0, 0)
    sessions, (line,) = fit(process)
    assert sessions == 9 and process.limits == (hard, hard)
    assert line == (
        f"max_sessions is 9 instead of 50: a session needs up to {PER_MEMBER} descriptors, and this process may open "
        f"{hard}; its limit was raised from {soft} to {hard}; for 50 sessions, let it open {OWN + 50 * PER_MEMBER} "
        "(ulimit -n)"
    )


def test_a_system_that_allows_less_than_its_hard_limit_says_is_believed(fit: Any) -> None:
    process = Process(OWN + 5 * PER_MEMBER, allowed=OWN + 5 * PER_MEMBER)
    sessions, (line,) = fit(process)
    assert sessions == 5 and "raised" not in line


@pytest.mark.parametrize(
    ("spec", "isolation", "each"),
    [
        (TRIO, "coroutine", 3 * PER_MEMBER),
        (SINGLE, "thread", PER_MEMBER + PER_LOOP),
        (SINGLE, "process", PER_PROCESS),
        (TRIO, "process", PER_PROCESS),
    ],
)
def test_a_session_needs_what_its_agents_and_their_isolation_take(
    fit: Any, spec: AgentSpec, isolation: str, each: int
) -> None:
    limit = OWN + 7 * each
    sessions, lines = fit(Process(limit, limit), 8, spec, isolation=isolation)
    assert sessions == 7 and f"needs up to {each} descriptors" in lines[0]
    assert fit(Process(limit, limit), 7, spec, isolation=isolation) == (7, [])


def test_a_limit_under_which_no_session_fits_is_an_error(fit: Any) -> None:
    limit = OWN + PER_MEMBER - 1
    with pytest.raises(OpenRTCError, match=f"may open {limit} descriptors, and .* needs {OWN + PER_MEMBER}") as error:
        fit(Process(limit, limit), 1)
    assert "ulimit -n" in str(error.value)


@pytest.mark.parametrize("missing", ["limits", "free"])
def test_a_system_that_tells_nothing_is_left_alone(fit: Any, missing: str) -> None:
    process = Process(1, 1)
    setattr(process, missing, None)
    assert fit(process, 1000) == (1000, [])
