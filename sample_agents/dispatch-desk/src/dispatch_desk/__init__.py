"""Two agents of one haulage company, a cast of both, and the fleet that they look into, brought by one hook module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatch_desk.fleet import FLEET_KEY, load_fleet
from dispatch_desk.voices import realtime_model
from openrtc import AgentSpec, Cast, Member, ResourceSpec, hookimpl

if TYPE_CHECKING:
    from dispatch_desk.agents import Dispatcher, Driver
    from openrtc import Call


@hookimpl
def openrtc_agents() -> list[AgentSpec]:
    """Bring Tim the dispatcher, Chris the driver, and both together in one room."""
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
            summary="Drives the blue truck and says where it is.",
            greeting="Hello, this is Chris in the blue truck.",
            resources=(FLEET_KEY,),
            examples=("what is your position", "how much fuel do you have", "what is your load"),
        ),
        AgentSpec(
            name="dispatch",
            cast=build_cast(),
            summary="Tim and Chris in one room: Tim calls Chris, and people may talk to both.",
            examples=("which truck is free", "Chris, how much fuel do you have", "Chris, what is your load"),
        ),
    ]


def build_cast() -> Cast:
    """Return the cast: Tim opens and listens; whoever is called by name answers, else Tim."""
    tim = AgentSpec(
        name="dispatcher",
        agent=build_dispatcher,
        display_name="Tim",
        greeting="Chris, this is Tim. What is your position?",
        llm=realtime_model(voice="alloy", temperature=0.8),
        resources=(FLEET_KEY,),
    )
    chris = AgentSpec(
        name="driver",
        agent=build_driver,
        display_name="Chris",
        llm=realtime_model(voice="echo", temperature=0.7),
        resources=(FLEET_KEY,),
    )
    members = [Member(role="dispatcher", agent=tim), Member(role="driver", agent=chris)]
    return Cast(members=members, lead="dispatcher", answers="addressed", turn_budget=3)


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
