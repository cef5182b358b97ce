"""Who is dispatched by an agent name in its code gets those calls, and no automatic ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import Loaded, LoadedAgent
from openrtc.model.agents import AgentSpec
from openrtc.model.decision import Decision
from openrtc.model.livekit_worker import LiveKitWorker
from openrtc.model.request import RouteRequest
from openrtc.plugins.hooks import Hooks
from openrtc.routing.router import Router
from openrtc.settings.config import RoutingSettings


async def entrypoint(context: Any) -> None: ...


def agent(name: str, in_code: str = "") -> LoadedAgent:
    worker = LiveKitWorker(entrypoint=entrypoint, agent_name=in_code)
    return LoadedAgent(name=name, spec=AgentSpec(name=name, entrypoint=entrypoint), worker=worker)


def router_of(*agents: LoadedAgent, setting: str = "", default: str | None = None) -> Router:
    catalog = Catalog.of(Loaded(agents=agents))
    return Router(catalog, Hooks(), RoutingSettings(default=default), worker_agent_name=setting)


def decide(router: Router, **request: Any) -> Decision:
    return asyncio.run(router.route(RouteRequest.parse(**{"room_name": "r", **request})))


FRONT, PLAIN = agent("front", "reception"), agent("plain")


def test_a_dispatch_by_the_name_in_its_code_reaches_the_agent() -> None:
    decision = decide(router_of(FRONT, PLAIN), agent_name="reception")
    assert (decision.agents, decision.rule) == (("front",), "job.agent_name")
    assert decision.reason == "'reception' is the agent name in the code of 'front'"


def test_such_an_agent_is_not_the_default_of_automatic_dispatch_but_can_be_asked_for() -> None:
    router = router_of(FRONT, PLAIN)
    assert (decide(router).agents, router.default, list(router.default_candidates)) == (("plain",), "plain", ["plain"])
    assert decide(router, room_name="front-1").agents == ("front",)
    assert decide(router, attributes={"openrtc.agent": "front"}).agents == ("front",)
    assert decide(router_of(FRONT, PLAIN, default="front")).agents == ("front",), "the operator says so"


def test_where_all_are_named_nobody_gets_an_automatic_call() -> None:
    router = router_of(FRONT)
    decision = decide(router)
    assert decision.rejected and "every agent has an agent name in its code" in decision.rejected
    assert router.default is None


@pytest.mark.parametrize(
    ("setting", "request_", "agents"),
    [
        ("desk", {"agent_name": "desk"}, ("front",)),  # under the worker's name all are alike
        ("desk", {}, ("front",)),
        ("desk,reception", {"agent_name": "reception"}, ("front",)),
        ("desk,reception", {"agent_name": "reception", "attributes": {"openrtc.agent": "plain"}}, ("plain",)),
        ("automatic", {}, ("front",)),
        ("automatic,reception", {}, ("plain",)),
        ("per-agent", {"agent_name": "front"}, ("front",)),
    ],
)
def test_where_the_operator_gives_names_only_those_among_them_count(
    setting: str, request_: dict[str, Any], agents: tuple[str, ...]
) -> None:
    assert decide(router_of(FRONT, PLAIN, setting=setting), **request_).agents == agents


def test_a_name_that_the_operator_does_not_list_is_unknown() -> None:
    decision = decide(router_of(FRONT, PLAIN, setting="desk"), agent_name="reception")
    assert decision.rejected and 'there is no agent "reception"' in decision.rejected


def test_a_name_of_two_reaches_nobody() -> None:
    router = router_of(agent("one", "my-agent"), agent("two", "my-agent"), PLAIN)
    assert 'there is no agent "my-agent"' in str(decide(router, agent_name="my-agent").rejected)
    assert decide(router).agents == ("plain",)
