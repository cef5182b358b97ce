"""Two agents of one haulage company, and the fleet that both look into, brought by one hook module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatch_desk.fleet import FLEET_KEY, load_fleet
from openrtc import AgentSpec, ResourceSpec, hookimpl

if TYPE_CHECKING:
    from dispatch_desk.agents import Dispatcher, Driver
    from openrtc import Call


@hookimpl
def openrtc_agents() -> list[AgentSpec]:
    """Bring Tim the dispatcher and Chris the driver."""
    return [
        AgentSpec(
            name="dispatcher",
            agent=build_dispatcher,
            display_name="Tim",
            summary="Knows which truck is free and where loads go.",
            greeting="Hello, this is Tim at the dispatch desk.",
            resources=(FLEET_KEY,),
            examples=("which truck is free", "what is the route to the airport", "what is the route to the harbor"),
        ),
        AgentSpec(
            name="driver",
            agent=build_driver,
            display_name="Chris",
            summary="Drives the blue truck and tells where it is.",
            greeting="Hello, this is Chris in the blue truck.",
            resources=(FLEET_KEY,),
            examples=("what is your position", "how much fuel do you have", "what is your load"),
        ),
    ]


@hookimpl
def openrtc_resources() -> list[ResourceSpec]:
    """Bring the fleet: read once per worker, shared by both agents."""
    return [ResourceSpec(key=FLEET_KEY, load=load_fleet)]


def build_dispatcher(call: Call) -> Dispatcher:
    """Build Tim for one call."""
    from dispatch_desk.agents import Dispatcher

    return Dispatcher(call.resources[FLEET_KEY])


def build_driver(call: Call) -> Driver:
    """Build Chris for one call."""
    from dispatch_desk.agents import Driver

    return Driver(call.resources[FLEET_KEY])
