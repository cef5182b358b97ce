"""`VipRouter`: decides by room name and job metadata, and counts the calls that it was right about."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openrtc import Decision, hookimpl

if TYPE_CHECKING:
    from openrtc import Call, RouteRequest, WorkerInfo

logger = logging.getLogger("my_vip_router")

AGENT_VARIABLE = "VIP_ROUTER_AGENT"
ROOM_PREFIX = "vip-"


class VipRouter:
    """Sends VIP calls to one agent.

    Args:
        agent: That agent's name; ``VIP_ROUTER_AGENT`` or ``sales`` when not given.
    """

    def __init__(self, agent: str | None = None) -> None:
        self._agent = agent
        self._live: set[str] = set()
        self.answered = 0

    @property
    def agent(self) -> str:
        """The agent that answers VIP calls."""
        return self._agent or os.environ.get(AGENT_VARIABLE, "").strip() or "sales"

    @hookimpl
    def openrtc_route(self, request: RouteRequest, agents: Sequence[str]) -> Decision | None:
        """Choose the VIP agent for a VIP call, where it can be chosen; leave every other call alone."""
        why = find_vip_reason(request)
        if why is None or self.agent not in agents:
            return None
        return Decision.to(self.agent, reason=why)

    @hookimpl
    def openrtc_session_started(self, call: Call) -> None:
        """Count a VIP call."""
        if find_vip_reason(call.request) is not None:
            self.answered += 1
            self._live.add(call.job_id)

    @hookimpl
    def openrtc_session_ended(self, call: Call, reason: str) -> None:
        """Say that a VIP call has ended, and how many go on."""
        if call.job_id in self._live:
            self._live.discard(call.job_id)
            logger.info("VIP call in %s ended (%s), %d still live", call.room_name, reason, len(self._live))

    @hookimpl
    def openrtc_shutdown(self, worker: WorkerInfo) -> None:
        """Say how many of the worker's calls were VIP calls."""
        logger.info("%d of %d calls were VIP calls", self.answered, worker.served)


def find_vip_reason(request: RouteRequest) -> str | None:
    """Return why this is a VIP call, or None when it is not."""
    if request.room_name.startswith(ROOM_PREFIX):
        return f"room {request.room_name} starts with {ROOM_PREFIX}"
    if (request.job_metadata or {}).get("tier") == "gold":
        return "gold customer in the job metadata"
    return None
