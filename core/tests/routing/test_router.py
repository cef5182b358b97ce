from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from openrtc.catalog.catalog import Catalog
from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.decision import Decision
from openrtc.model.hookspecs import hookimpl
from openrtc.model.request import RouteRequest
from openrtc.model.status import State, Status
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.load import Loaded
from openrtc.routing.router import Router
from openrtc.settings.config import RoutingSettings

NAMES = ("sales", "support", "support-vip", "broken")


def catalog(*names: str) -> Catalog:
    specs = [AgentSpec(name=name, agent=object) for name in names or NAMES]
    whole = Catalog.of(Loaded(), specs=specs)
    return (
        whole.with_status("broken", Status(State.BROKEN, "cannot be imported", "fix it"))
        if "broken" in whole.names
        else whole
    )


def plugin(name: str, function: Any, **options: Any) -> Any:
    function.__name__ = "openrtc_route"
    marked = hookimpl(**options)(function) if options else hookimpl(function)
    return SimpleNamespace(name=name, distribution=f"{name}-dist", target=SimpleNamespace(openrtc_route=marked))


def decide(*plugins: Any, settings: RoutingSettings | None = None, worker: str = "", **request: Any) -> Decision:
    router = Router(catalog(), Hooks(plugins), settings, worker_agent_name=worker)
    return asyncio.run(router.route(RouteRequest.parse(**{"room_name": "room", **request})))


@pytest.mark.parametrize(
    ("request_", "agent", "rule"),
    [
        ({"job_metadata": '{"agent": "support", "demo": "sales"}'}, "support", "job.agent"),
        ({"job_metadata": '{"demo": "support"}', "room_metadata": '{"agent": "sales"}'}, "support", "job.demo"),
        ({"job_metadata": '{"agent": " support "}'}, "support", "job.agent"),
        ({"room_metadata": '{"agent": "support"}', "room_name": "sales-1"}, "support", "room.agent"),
        ({"room_metadata": '{"demo": "support"}', "room_name": "sales-1"}, "support", "room.demo"),
        (
            {"attributes": {"openrtc.agent": "support"}, "room_metadata": '{"agent": "sales"}'},
            "support",
            "job.attribute",
        ),
        ({"agent_name": "support", "job_metadata": '{"agent": "sales"}'}, "support", "job.agent_name"),
        ({"room_name": "support-call-123"}, "support", "room.prefix"),
        ({"room_name": "support"}, "support", "room.prefix"),
        ({"room_name": "support-vip-call-1"}, "support-vip", "room.prefix"),
        ({"room_name": "support-vip"}, "support-vip", "room.prefix"),
        ({"room_name": "support-vipx-1"}, "support", "room.prefix"),
        ({"room_name": "supporter-1"}, "sales", "default"),
        ({"room_name": "Support-1"}, "sales", "default"),
        ({"room_name": ""}, "sales", "default"),
        ({"job_metadata": '{"agent": 5}'}, "sales", "default"),
        ({"job_metadata": '{"agent": ""}'}, "sales", "default"),
        ({"job_metadata": '{"agent": null}'}, "sales", "default"),
        ({"job_metadata": "not json", "room_name": "support-1"}, "support", "room.prefix"),
        ({"job_metadata": '{"AGENT": "support"}'}, "sales", "default"),
    ],
)
def test_the_built_in_rules_are_asked_in_their_order(request_: dict[str, Any], agent: str, rule: str) -> None:
    decision = decide(**request_)
    assert (decision.agents, decision.rule, decision.rejected) == ((agent,), rule, None)
    assert decision.trace[-1].rule == rule


@pytest.mark.parametrize(
    "request_",
    [
        {"job_metadata": '{"agent": "suport"}'},
        {"job_metadata": '{"demo": "suport"}'},
        {"room_metadata": '{"agent": "suport"}'},
        {"room_metadata": '{"demo": "suport"}'},
        {"attributes": {"openrtc.agent": "suport"}},
        {"agent_name": "suport"},
    ],
)
def test_an_unknown_name_asked_for_explicitly_is_rejected_and_never_falls_back(request_: dict[str, Any]) -> None:
    decision = decide(**{"room_name": "sales-1", **request_})
    assert decision.agents == ()
    assert decision.rejected is not None and "suport" in decision.rejected and "support" in decision.rejected


@pytest.mark.parametrize("request_", [{"job_metadata": '{"agent": "broken"}'}, {"room_name": "broken-1"}])
def test_an_agent_that_is_not_ready_is_rejected_with_its_reason(request_: dict[str, Any]) -> None:
    rejected = decide(**request_).rejected
    assert rejected is not None and "cannot be imported" in rejected


def test_the_name_of_the_worker_itself_chooses_nothing() -> None:
    decision = decide(agent_name="front-desk", worker="front-desk", job_metadata='{"agent": "support"}')
    assert decision.rule == "job.agent"
    assert "name of the worker" in decision.trace[0].reason


def test_with_names_per_agent_the_dispatchs_agent_name_chooses() -> None:
    decision = decide(agent_name="support", worker="front,per-agent", job_metadata='{"agent": "sales"}')
    assert (decision.agents, decision.rule) == (("support",), "job.agent_name")
    assert decide(agent_name="front", worker="front,per-agent", room_name="sales-1").rule == "room.prefix"


def test_an_operator_limits_which_agents_a_rooms_name_may_choose() -> None:
    few = RoutingSettings(prefix_agents=("support",), default="sales")
    assert decide(settings=few, room_name="support-1").rule == "room.prefix"
    shorter = decide(settings=few, room_name="support-vip-1")
    assert (shorter.agents, shorter.rule) == (("support",), "room.prefix")
    other = decide(settings=RoutingSettings(prefix_agents=(), default="sales"), room_name="support-1")
    assert (other.agents, other.rule) == (("sales",), "default")
    (reason,) = [line.reason for line in other.trace if line.rule == "room.prefix"]
    assert reason == "the room name may not choose 'support' ([routing] prefix_agents)"


@pytest.mark.parametrize("key", ["agent", "demo"])
def test_an_operator_limits_which_agents_room_metadata_may_choose(key: str) -> None:
    few = RoutingSettings(room_metadata_agents=("support",))
    assert decide(settings=few, room_metadata=f'{{"{key}": "support"}}').agents == ("support",)
    refused = decide(settings=few, room_metadata=f'{{"{key}": "sales"}}', room_name="support-1")
    assert refused.rejected == (
        f"room metadata {key!r} asks for 'sales': room metadata may not choose 'sales' ([routing] room_metadata_agents)"
    )
    assert decide(settings=few, job_metadata=f'{{"{key}": "sales"}}').agents == ("sales",), "the dispatch is trusted"


@pytest.mark.parametrize(
    ("setting", "request_"),
    [
        ("job_metadata_agents", {"job_metadata": '{"agent": "sales"}'}),
        ("job_metadata_agents", {"job_metadata": '{"demo": "sales"}'}),
        ("attribute_agents", {"attributes": {"openrtc.agent": "sales"}}),
        ("agent_name_agents", {"agent_name": "sales"}),
    ],
)
def test_an_operator_limits_what_each_way_of_a_dispatch_may_choose(setting: str, request_: dict[str, Any]) -> None:
    choices: list[dict[str, Any]] = [{setting: ("support",)}, {setting: ()}]
    few, none = (RoutingSettings(**choice) for choice in choices)
    refused = decide(settings=few, room_name="support-1", **request_)
    assert (refused.rejected or "").endswith(f"may not choose 'sales' ([routing] {setting})")
    allowed = json.loads(json.dumps(request_).replace("sales", "support"))
    assert decide(settings=few, **allowed).agents == ("support",)
    assert decide(settings=none, **allowed).rejected
    assert decide(**request_).agents == ("sales",)


def test_an_internal_agent_is_chosen_by_routers_only() -> None:
    hidden = RoutingSettings(internal=("sales", "support-vip"))
    asked: list[dict[str, Any]] = [
        {"job_metadata": '{"agent": "sales"}'},
        {"room_metadata": '{"demo": "sales"}'},
        {"attributes": {"openrtc.agent": "sales"}},
        {"agent_name": "sales"},
    ]
    for request in asked:
        rejected = decide(settings=hidden, **request).rejected or ""
        assert rejected.endswith(
            "'sales' is internal: only a signed dispatch, a router, a cast or a hand-off chooses it"
        )
    assert decide(settings=hidden, room_name="support-vip-1").agents == ("support",), "the name is passed over"
    assert decide(settings=hidden, room_name="sales-1").agents == ("support",), "it is no default by itself"
    assert decide(settings=hidden, agent_name="front", worker="front").agents == ("support",)
    named = RoutingSettings(internal=("sales",), default="sales")
    assert decide(settings=named).agents == ("sales",)
    router = plugin("vip", lambda request, agents: "sales")
    assert decide(router, settings=hidden, room_name="zz").agents == ("sales",)
    everybody = RoutingSettings(internal=NAMES)
    assert "each agent that is ready is internal" in (decide(settings=everybody).rejected or "")


def test_a_package_says_that_its_agent_is_internal() -> None:
    specs = [AgentSpec(name="desk", agent=object, internal=True), AgentSpec(name="open", agent=object)]
    router = Router(Catalog.of(Loaded(), specs=specs), Hooks())
    assert router.default == "open"
    decision = asyncio.run(router.route(RouteRequest.parse(room_name="desk-1", job_metadata='{"agent": "desk"}')))
    assert "'desk' is internal" in (decision.rejected or "")


def test_bad_metadata_is_told_in_the_trace() -> None:
    trace = decide(job_metadata="[1]", room_name="support-1").trace
    assert any(line.rule == "job.agent" and "a JSON array" in line.reason for line in trace)


def test_a_router_stands_between_room_metadata_and_room_prefix() -> None:
    router = plugin("vip", lambda request, agents: "support-vip")
    assert decide(router, room_name="support-1").agents == ("support-vip",)
    assert decide(router, room_metadata='{"agent": "sales"}').agents == ("sales",)
    decision = decide(router, room_name="support-1")
    assert (decision.rule, decision.trace[-1].source) == ("vip", "vip-dist")


def test_a_tryfirst_router_is_asked_before_everything() -> None:
    router = plugin("policy", lambda request: Decision.reject("closed on Sundays"), tryfirst=True)
    decision = decide(router, job_metadata='{"agent": "sales"}')
    assert (decision.rejected, decision.rule) == ("closed on Sundays", "policy")


async def _async_router(request: RouteRequest) -> str:
    await asyncio.sleep(0)
    return "support"


def test_an_async_router_and_one_with_a_reason_are_understood() -> None:
    assert decide(plugin("later", _async_router)).agents == ("support",)
    decision = decide(plugin("why", lambda request: Decision.to("support", "gold customer")))
    assert decision.reason == "gold customer"


def test_a_router_may_name_several_agents_for_one_room() -> None:
    decision = decide(plugin("two", lambda request: ["support", "sales"]))
    assert (decision.agents, decision.name) == (("support", "sales"), "support+sales")
    assert decision.trace[-1].answer == ("support", "sales")
    assert Decision.from_json(json.dumps(decision.to_json())).agents == decision.agents
    chosen = decide(plugin("two", lambda request: Decision.to_cast("sales", "support", reason="both")))
    assert (chosen.agents, chosen.reason) == (("sales", "support"), "both")


def _raises(request: RouteRequest) -> str:
    raise ValueError("router bug\nsecond line")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda request: "nobody", "nobody"),
        (lambda request: "broken", "cannot be imported"),
        (lambda request: 42, "not an agent name"),
        (lambda request: ["support", "broken"], "cannot be imported"),
        (lambda request: ["support", "nobody"], "nobody"),
        (lambda request: ["support", "support"], "named twice"),
        (lambda request: [], "named no agent"),
        (lambda request: {"agent": "support"}, "not an agent name"),
        (_raises, "ValueError: router bug second line"),
    ],
)
def test_a_router_that_fails_or_answers_nonsense_is_a_line_and_the_next_is_asked(answer: Any, said: str) -> None:
    decision = decide(plugin("odd", answer), plugin("good", lambda request: "support"), room_name="room")
    assert decision.agents == ("support",)
    line = next(line for line in decision.trace if line.rule == "odd")
    assert said in line.reason and "\n" not in line.reason
    assert line.answer is None


def test_a_router_cannot_change_the_request_for_the_next_one() -> None:
    def meddles(request: RouteRequest) -> None:
        request.room_name = "sales-1"  # type: ignore[misc]

    decision = decide(plugin("meddles", meddles), room_name="support-1")
    assert decision.agents == ("support",)
    assert any("FrozenInstanceError" in line.reason for line in decision.trace)


def test_the_configured_default_answers_when_no_rule_decides() -> None:
    assert decide(settings=RoutingSettings(default="support")).agents == ("support",)
    rejected = decide(settings=RoutingSettings(default="broken")).rejected
    assert rejected is not None and "cannot be imported" in rejected


def test_the_order_can_be_set_and_knows_routers_by_their_short_name() -> None:
    router = plugin("vip-dist:vip", lambda request: "support-vip")
    settings = RoutingSettings(order=("room.prefix", "vip"))
    assert decide(router, settings=settings, job_metadata='{"agent": "sales"}', room_name="x").agents == (
        "support-vip",
    )
    nobody = decide(settings=RoutingSettings(order=("room.prefix",)), room_name="x")
    assert nobody.rejected == "no rule decided"
    with pytest.raises(OpenRTCError, match=r'did you mean "room\.prefix"'):
        decide(settings=RoutingSettings(order=("room.prefx",)))


def test_without_any_agent_every_call_is_rejected() -> None:
    router = Router(Catalog.of(Loaded()), Hooks())
    decision = asyncio.run(router.route(RouteRequest(room_name="r")))
    assert decision.rejected == "no agent is ready to take calls"


def test_the_decision_is_json_ready() -> None:
    value = json.loads(json.dumps(decide(room_name="support-1").to_json()))
    assert value["agents"] == ["support"]
    assert set(value["trace"][0]) == {"rule", "source", "answer", "reason", "ms"}


SIGNED = RoutingSettings(signed=True, attribute_agents=("sales",), internal=("support",))
ASKED: dict[str, Any] = {"attributes": {"openrtc.agent": "support"}}


def test_a_signed_dispatch_chooses_any_agent_whatever_the_lists_say() -> None:
    for settings in (SIGNED, replace(SIGNED, signed=False)):
        assert decide(settings=settings, signed=True, **ASKED).agents == ("support",)
        assert decide(settings=settings, signed=True, job_metadata='{"demo": "support"}').agents == ("support",)
    unsigned = decide(settings=replace(SIGNED, signed=False), signed=False, **ASKED)
    assert "'support' is internal" in (unsigned.rejected or "")


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"attributes": {"openrtc.agent": "sales"}}, "its dispatch is not signed, as [routing] signed wants it"),
        (
            {"attributes": {"openrtc.agent": "sales"}, "signed": False},
            "its dispatch was signed with another API secret",
        ),
        ({"job_metadata": '{"agent": "sales"}'}, "is not signed"),
        ({"job_metadata": '{"demo": "sales"}'}, "is not signed"),
        ({"agent_name": "sales", "worker": "per-agent"}, "is not signed"),
        ({"room_metadata": '{"agent": "sales"}'}, "room metadata is never signed"),
        ({"room_metadata": '{"agent": "sales"}', "signed": True}, "room metadata is never signed"),
    ],
)
def test_where_choices_must_be_signed_others_are_rejected_with_the_reason(request_: dict[str, Any], why: str) -> None:
    rejected = decide(settings=SIGNED, room_name="sales-1", **request_).rejected or ""
    assert "asks for 'sales'" in rejected and why in rejected


def test_where_choices_must_be_signed_room_names_and_routers_choose_as_before() -> None:
    assert decide(settings=SIGNED, room_name="sales-1").rule == "room.prefix"
    assert decide(settings=replace(SIGNED, prefix_agents=()), room_name="sales-1").rule == "default"
    assert decide(plugin("r", lambda request: "support"), settings=SIGNED).agents == ("support",)
    assert decide(settings=SIGNED, agent_name="front", worker="front").rule == "default", (
        "the worker's own name is none"
    )


def test_which_ways_of_choosing_are_open_is_known() -> None:
    def find_open(worker: str = "", **settings: Any) -> list[str]:
        return list(Router(catalog(), Hooks([]), RoutingSettings(**settings), worker_agent_name=worker).open_channels)

    every = ["prefix_agents", "room_metadata_agents", "job_metadata_agents", "attribute_agents"]
    assert find_open() == every
    assert find_open("per-agent") == [*every, "agent_name_agents"]
    assert find_open(signed=True) == ["prefix_agents"]
    assert find_open(signed=True, prefix_agents=()) == []
    assert find_open(order=("job.demo", "default")) == ["job_metadata_agents"]
    assert find_open(internal=("sales", "support-vip")) == [], "there is no choice"
