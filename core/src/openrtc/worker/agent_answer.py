"""Lets an agent's own ``on_request`` accept or reject a job request, in limited time."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from livekit.agents import AssignmentTimeoutError, JobRequest

from openrtc.errors import summarize_error
from openrtc.session.failure import find_failing_line
from openrtc.session.participant import Participant

logger = logging.getLogger("openrtc.worker")

REQUEST_SECONDS = 5.0
"""How long an ``on_request`` may take to accept or reject: the caller hears nothing meanwhile, and another worker may
have an agent that answers."""

_going_on: set[asyncio.Task[None]] = set()
"""What callbacks still do after their answer; held here so that they are not collected."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a job request is rejected.

    Args:
        reason: Why.
        for_good: Whether no other worker shall be offered the job.
    """

    reason: str
    for_good: bool = False


class AgentsRequest(JobRequest):
    """The `JobRequest` that an agent's ``on_request`` gets; it is answered once.

    Args:
        request: LiveKit's own.
        accept: Accepts it.
        ours: What it is accepted with where the agent says nothing.
    """

    def __init__(self, request: JobRequest, accept: Callable[..., Awaitable[None]], ours: Participant) -> None:
        async def refuse(terminate: bool) -> None:
            await self.reject(terminate=terminate)

        async def take(arguments: Any) -> None:
            await self.accept(**vars(arguments))

        super().__init__(job=request.job, on_reject=refuse, on_accept=take)
        self._accept_with = accept
        self._ours = ours
        self.closed = False
        self.answered = asyncio.Event()
        self.refusal: Rejection | None = None
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def accept(
        self, *, name: str = "", identity: str = "", metadata: str = "", attributes: dict[str, str] | None = None
    ) -> None:
        """Accept; what is left empty is as without an ``on_request``."""
        self._answer_once()
        given = {"name": name or self._ours["name"], "identity": identity or self._ours["identity"]}
        attributes = {**self._ours["attributes"], **(attributes or {})}
        try:
            await self._accept_with(**given, metadata=metadata, attributes=attributes)
        except AssignmentTimeoutError as error:
            self.accepted.set_exception(error)
            raise
        finally:
            if not self.accepted.done():
                self.accepted.set_result(None)

    async def reject(self, *, terminate: bool = True) -> None:
        """Reject; by default, no other worker is offered the job."""
        self._answer_once()
        self.refusal = Rejection("its on_request rejected it", terminate)

    def _answer_once(self) -> None:
        if self.closed or self.answered.is_set():
            raise RuntimeError("this job request has been answered already")
        self.answered.set()


async def ask_agent(
    on_request: Callable[[JobRequest], Any],
    request: JobRequest,
    accept: Callable[..., Awaitable[None]],
    ours: Participant,
) -> Rejection | None:
    """Let an agent's ``on_request`` answer; what it does after its answer goes on by itself.

    Args:
        on_request: The agent's callback.
        request: LiveKit's request.
        accept: Accepts it.
        ours: What it is accepted with where the agent says nothing.

    Returns:
        Why it is to be rejected; None where it has been accepted.

    Raises:
        AssignmentTimeoutError: It was accepted, and the server has not assigned the job in time.
    """
    asked = AgentsRequest(request, accept, ours)
    running = asyncio.create_task(_call(on_request, asked), name="on_request")
    answered = asyncio.create_task(asked.answered.wait(), name="on_request-answered")
    await asyncio.wait({running, answered}, timeout=REQUEST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    answered.cancel()
    if not asked.answered.is_set():
        asked.closed = True
        return Rejection(_why_unanswered(running))
    _going_on.add(running)
    running.add_done_callback(_forget)
    if asked.refusal is None:
        await asked.accepted
    return asked.refusal


async def _call(on_request: Callable[[JobRequest], Any], asked: JobRequest) -> None:
    result = on_request(asked)
    if inspect.isawaitable(result):
        await result


def _why_unanswered(running: asyncio.Task[None]) -> str:
    if not running.done():
        running.cancel()
        return f"its on_request neither accepted nor rejected within {REQUEST_SECONDS:g} s"
    if running.cancelled() or running.exception() is None:
        return "its on_request has ended and neither accepted nor rejected"
    return f"its on_request failed: {_describe(running)}"


def _forget(running: asyncio.Task[None]) -> None:
    _going_on.discard(running)
    if not running.cancelled() and running.exception() and not isinstance(running.exception(), AssignmentTimeoutError):
        logger.error("on_request failed after its answer, which counts: %s", _describe(running))


def _describe(failed: asyncio.Task[None]) -> str:
    error = failed.exception()
    assert error is not None
    return f"{summarize_error(error)} at {find_failing_line(error)}"
