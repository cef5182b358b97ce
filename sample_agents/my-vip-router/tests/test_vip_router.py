"""`VipRouter`, tested with literals: no server, no livekit."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.metadata import distribution
from typing import Any

import pytest

import my_vip_router
from my_vip_router.router import AGENT_VARIABLE, VipRouter
from openrtc import Call, Decision, RouteRequest, WorkerInfo
from openrtc.testing import Route

AGENTS = ("sales", "support")


def a_call(room: str, job_id: str = "AJ_1") -> Call:
    request = RouteRequest.parse(room_name=room, job_id=job_id)
    return Call(job_id=job_id, agent_name="sales", request=request, decision=Decision.to("sales"))


def test_the_distribution_announces_the_router() -> None:
    (entry,) = distribution("my-vip-router").entry_points
    assert (entry.group, entry.name) == ("openrtc.plugins", "vip")
    assert entry.load() is my_vip_router.plugin


@pytest.mark.process
def test_importing_the_router_imports_no_livekit() -> None:
    code = "import my_vip_router, sys; print([m for m in sys.modules if m.split('.')[0] == 'livekit'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"room": "vip-lounge"}, "room vip-lounge starts with vip-"),
        ({"room": "call-1", "job_metadata": {"tier": "gold"}}, "gold customer in the job metadata"),
        ({"room": "call-1", "job_metadata": {"tier": "silver"}}, None),
        ({"room": "call-1", "job_metadata": "gold"}, None),
        ({"room": "call-1", "room_metadata": {"tier": "gold"}}, None),
        ({"room": "my-vip-room"}, None),
    ],
)
def test_vip_rooms_and_gold_customers_are_routed_and_others_left_alone(
    openrtc_route: Route, call: dict[str, Any], reason: str | None
) -> None:
    decision = openrtc_route(**call)
    asked = next(line for line in decision.trace if line.source == "my-vip-router")
    assert asked.answer == (("sales",) if reason else None)
    if reason:
        assert (decision.agents, decision.reason) == (("sales",), reason)


def test_the_environment_names_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AGENT_VARIABLE, "support")
    decision = VipRouter().openrtc_route(RouteRequest.parse(room_name="vip-1"), AGENTS)
    assert decision is not None
    assert decision.agents == ("support",)


def test_an_agent_that_is_not_there_is_not_chosen() -> None:
    assert VipRouter("concierge").openrtc_route(RouteRequest.parse(room_name="vip-1"), AGENTS) is None


def test_vip_calls_are_counted_and_told_when_the_worker_stops(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="my_vip_router")
    router = VipRouter()
    for call in (a_call("vip-1", "AJ_1"), a_call("vip-2", "AJ_2"), a_call("call-3", "AJ_3")):
        router.openrtc_session_started(call)
    router.openrtc_session_ended(a_call("vip-1", "AJ_1"), "caller left")
    router.openrtc_session_ended(a_call("call-3", "AJ_3"), "caller left")
    router.openrtc_shutdown(
        WorkerInfo(worker_id="AW_1", agent_name="", isolation="coroutine", max_sessions=50, served=3)
    )
    assert [record.getMessage() for record in caplog.records] == [
        "VIP call in vip-1 ended (caller left), 1 still live",
        "2 of 3 calls were VIP calls",
    ]
