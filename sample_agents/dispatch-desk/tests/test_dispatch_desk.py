"""The hook module `dispatch_desk`: its agents, its fleet, and what the agents say."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from typing import Any

import pytest
from livekit.agents.llm import FunctionTool
from livekit.agents.llm.utils import build_strict_openai_schema

import dispatch_desk
from dispatch_desk.agents import Dispatcher, Driver
from dispatch_desk.fleet import FLEET_KEY, Fleet, Truck, load_fleet
from dispatch_desk.voices import realtime_model
from openrtc.testing import StartCall


def tool(agent: Dispatcher | Driver, name: str) -> FunctionTool[..., Any]:
    found = {tool.info.name: tool for tool in agent.tools if isinstance(tool, FunctionTool)}
    return found[name]


def test_the_distribution_announces_the_module() -> None:
    (entry,) = distribution("dispatch-desk").entry_points
    assert (entry.group, entry.name, entry.value) == ("openrtc.agents", "dispatch-desk", "dispatch_desk")
    assert entry.load() is dispatch_desk


@pytest.mark.process
def test_importing_the_module_and_calling_its_hooks_imports_no_livekit() -> None:
    code = (
        "import dispatch_desk, sys; dispatch_desk.openrtc_agents(); dispatch_desk.openrtc_resources()[0].load(); "
        "print([m for m in sys.modules if m.split('.')[0] == 'livekit'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_brings_tim_and_chris_who_both_need_the_fleet_and_a_cast_of_them() -> None:
    *specs, together = dispatch_desk.openrtc_agents()
    assert [(spec.name, spec.display_name, spec.resources) for spec in specs] == [
        ("dispatcher", "Tim", ("dispatch.fleet",)),
        ("driver", "Chris", ("dispatch.fleet",)),
    ]
    assert together.name == "dispatch" and together.cast is not None
    assert (together.cast.roles, together.cast.lead, together.cast.ear) == (
        ("dispatcher", "driver"),
        "dispatcher",
        "dispatcher",
    )
    members = [member.spec for member in together.cast.members]
    assert [(one.display_name, one.resources) for one in members if one] == [
        ("Tim", ("dispatch.fleet",)),
        ("Chris", ("dispatch.fleet",)),
    ]


def test_with_a_key_both_speak_with_realtime_models_in_voices_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from livekit.plugins.openai.realtime import RealtimeModel  # which the other tests can do without

    assert realtime_model(voice="alloy", temperature=0.8) is None
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    tim, chris = (member.spec for member in dispatch_desk.build_cast().members)
    assert tim and chris
    models = [tim.llm(), chris.llm()]
    assert [(type(model), model._opts.voice) for model in models] == [
        (RealtimeModel, "alloy"),
        (RealtimeModel, "echo"),
    ]


async def test_both_agents_get_the_one_fleet_of_the_worker(openrtc_call: StartCall) -> None:
    async with openrtc_call("dispatch", starts=False) as call:
        tim, chris = call.agents
        assert isinstance(tim, Dispatcher) and isinstance(chris, Driver)
        fleet = call.call.resources[FLEET_KEY]
        assert tim.fleet is fleet and chris.truck is fleet.trucks["blue"]


async def test_tim_asks_chris_for_his_position_tells_him_the_route_and_knows_the_free_truck(
    openrtc_call: StartCall,
) -> None:
    async with openrtc_call("dispatch") as call:
        assert [role for role, _ in call.said] == ["dispatcher", "driver", "dispatcher"]
        assert call.said[1][1] == "I am on the river road, four miles from the harbor."
        await call.run("Which truck is free?")
        assert call.said[-1] == ("dispatcher", "The red truck is free, and waits at the harbor.")


@pytest.mark.parametrize(
    ("destination", "answer"),
    [
        ("airport", "Take the north road, and turn left after the bridge."),
        ("harbor", "Follow the river for nine miles, and stop at the yellow gate."),
    ],
)
async def test_tim_knows_the_routes(destination: str, answer: str) -> None:
    assert await tool(Dispatcher(load_fleet()), "route")(destination=destination) == answer


def test_every_destination_that_a_model_can_choose_has_a_route() -> None:
    schema = build_strict_openai_schema(tool(Dispatcher(load_fleet()), "route"))
    choices = schema["function"]["parameters"]["properties"]["destination"]["enum"]
    assert sorted(choices) == sorted(load_fleet().routes)


async def test_tim_says_so_when_no_truck_is_free() -> None:
    busy = Fleet({"red": Truck("red", "at the harbor", "full", "sand")}, {})
    assert await tool(Dispatcher(busy), "free_truck")() == "No truck is free now."


async def test_chris_tells_position_fuel_and_load() -> None:
    chris = Driver(load_fleet())
    assert await tool(chris, "position")() == "I am on the river road, four miles from the harbor."
    assert await tool(chris, "fuel")() == "My tank is half full."
    assert await tool(chris, "load")() == "I carry twenty boxes of apples."
