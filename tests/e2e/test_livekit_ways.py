"""Agents in the ways of LiveKit's public examples: a call ends alike in a worker of their own and in OpenRTC's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from e2e.livekit_ways.host import Hosts
from e2e.livekit_ways.ways import WAYS, Way
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from openrtc.server import LocalServer

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def hosts(api: ServerApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Hosts]:
    """Workers for the ways that are tested, in which the calls of all of them are held at once."""
    asked = {item.name for item in request.session.items if item.path == request.path}
    ways = [way for way in WAYS if any(f"[{way.name}]" in name for name in asked)]
    with LocalServer(port=0) as other, Hosts(of(other), api, tmp_path_factory.mktemp("ways"), ways) as running:
        show_log_on_failure(request.node, running.ours)
        yield running


def of(server: LocalServer) -> ServerApi:
    return ServerApi(server.url, server.api_key, server.api_secret)


@pytest.mark.parametrize(
    "way", [pytest.param(way, id=way.name, marks=[] if way.always else [pytest.mark.thorough]) for way in WAYS]
)
def test_a_call_ends_alike_in_both(way: Way, hosts: Hosts, request: pytest.FixtureRequest) -> None:
    own, ours = hosts.outcomes(way, again=getattr(request.node, "execution_count", 1) > 1)
    assert asdict(own) == asdict(way.outcome), "python file.py start"
    assert asdict(ours) == asdict(own), "openrtc start"
