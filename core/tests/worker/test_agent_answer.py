"""An agent's own `on_request` accepts or rejects, in limited time."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from livekit.agents import AssignmentTimeoutError, JobRequest
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.session.participant import Participant
from openrtc.worker import agent_answer
from openrtc.worker.agent_answer import Rejection, ask_agent

OURS: Participant = {"name": "Desk", "identity": "desk-AJ_1", "attributes": {"lk.agent.name": "desk"}}


def job_request() -> JobRequest:
    async def nobody(answer: Any) -> None:
        raise AssertionError("livekit's own answer is given by whoever asks")

    return JobRequest(job=proto.Job(id="AJ_1", room=models.Room(name="r")), on_reject=nobody, on_accept=nobody)


async def ask(on_request: Any, accepted: list[dict[str, Any]] | None = None) -> Rejection | None:
    async def accept(**arguments: Any) -> None:
        if accepted is not None:
            accepted.append(arguments)

    return await ask_agent(on_request, job_request(), accept, OURS)


async def test_what_accept_leaves_empty_is_ours() -> None:
    async def on_request(request: JobRequest) -> None:
        assert (request.id, request.room.name, isinstance(request, JobRequest)) == ("AJ_1", "r", True)
        await request.accept()

    accepted: list[dict[str, Any]] = []
    assert await ask(on_request, accepted) is None
    assert accepted == [{**OURS, "metadata": ""}]


async def test_what_accept_says_stands() -> None:
    async def on_request(request: JobRequest) -> None:
        await request.accept(name="Ann", identity="ann", metadata="m", attributes={"desk": "front"})

    accepted: list[dict[str, Any]] = []
    assert await ask(on_request, accepted) is None
    attributes = {"lk.agent.name": "desk", "desk": "front"}
    assert accepted == [{"name": "Ann", "identity": "ann", "metadata": "m", "attributes": attributes}]
    assert OURS["attributes"] == {"lk.agent.name": "desk"}, "other calls' are as they were"


@pytest.mark.parametrize(
    ("options", "for_good"), [({}, True), ({"terminate": True}, True), ({"terminate": False}, False)]
)
async def test_a_rejection_is_for_good_unless_it_says_otherwise(options: dict[str, bool], for_good: bool) -> None:
    async def on_request(request: JobRequest) -> None:
        await request.reject(**options)

    assert await ask(on_request) == Rejection("its on_request rejected it", for_good)


async def test_without_an_answer_in_time_another_worker_may_have_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_answer, "REQUEST_SECONDS", 0.01)
    late: list[str] = []

    async def on_request(request: JobRequest) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await request.accept()
            except RuntimeError as error:
                late.append(str(error))

    refusal = await ask(on_request)
    assert refusal == Rejection("its on_request neither accepted nor rejected within 0.01 s", for_good=False)
    await asyncio.sleep(0)
    assert late == ["this job request has been answered already"]


async def test_one_that_ends_without_an_answer_rejects_at_once() -> None:
    async def on_request(request: JobRequest) -> None: ...

    refusal = await ask(on_request)
    assert refusal == Rejection("its on_request has ended and neither accepted nor rejected", for_good=False)


async def test_one_that_fails_is_one_line_with_its_place() -> None:
    def on_request(request: JobRequest) -> None:
        raise KeyError("tenant")

    refusal = await ask(on_request)
    assert refusal and not refusal.for_good
    assert refusal.reason.startswith("its on_request failed: KeyError: 'tenant' at ")
    assert "test_agent_answer.py:" in refusal.reason


async def test_what_follows_the_answer_is_not_waited_for_and_a_failure_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on = asyncio.Event()

    async def on_request(request: JobRequest) -> None:
        await request.accept()
        await go_on.wait()
        raise ValueError("too late")

    with caplog.at_level(logging.ERROR):
        assert await ask(on_request) is None
        (task,) = agent_answer._going_on
        go_on.set()
        await asyncio.wait({task})
        await asyncio.sleep(0)
    assert "on_request failed after its answer, which counts: ValueError: too late at " in caplog.text
    assert not agent_answer._going_on


async def test_a_second_answer_is_an_error_of_the_package() -> None:
    said: list[str] = []

    async def on_request(request: JobRequest) -> None:
        await request.reject(terminate=False)
        try:
            await request.accept()
        except RuntimeError as error:
            said.append(str(error))

    assert await ask(on_request) == Rejection("its on_request rejected it", for_good=False)
    await asyncio.sleep(0)
    assert said == ["this job request has been answered already"]


async def test_a_job_that_the_server_does_not_assign_is_told_to_whoever_asked() -> None:
    async def on_request(request: JobRequest) -> None:
        await request.accept()

    async def accept(**arguments: Any) -> None:
        raise AssignmentTimeoutError

    with pytest.raises(AssignmentTimeoutError):
        await ask_agent(on_request, job_request(), accept, OURS)
