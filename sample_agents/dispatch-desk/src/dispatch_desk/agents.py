"""`Dispatcher` and `Driver`."""

from __future__ import annotations

from typing import Literal

from livekit.agents import Agent, function_tool

from dispatch_desk.fleet import Fleet


class Dispatcher(Agent):
    """Tim: knows which truck is free and where loads go.

    Args:
        fleet: The fleet that all calls share.
    """

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(
            instructions="You are Tim, the dispatcher. Use your tools, and answer in one short sentence.",
        )
        self.fleet = fleet

    @function_tool
    async def free_truck(self) -> str:
        """Tell which truck is free."""
        truck = self.fleet.free_truck()
        if truck is None:
            return "No truck is free now."
        return f"The {truck.color} truck is free, and waits {truck.position}."

    @function_tool
    async def route(self, destination: Literal["airport", "harbor"]) -> str:
        """Tell the route to a destination.

        Args:
            destination: Where the load goes.
        """
        return self.fleet.routes[destination]


class Driver(Agent):
    """Chris: drives one truck.

    Args:
        fleet: The fleet that all calls share.
        color: Which truck Chris drives.
    """

    def __init__(self, fleet: Fleet, color: str = "blue") -> None:
        super().__init__(
            instructions=f"You are Chris, who drives the {color} truck. Use your tools; answer in one short sentence.",
        )
        self.truck = fleet.trucks[color]

    @function_tool
    async def position(self) -> str:
        """Tell the position of the truck."""
        return f"I am {self.truck.position}."

    @function_tool
    async def fuel(self) -> str:
        """Tell how much fuel is left."""
        return f"My tank is {self.truck.fuel}."

    @function_tool
    async def load(self) -> str:
        """Tell the load of the truck."""
        return f"I carry {self.truck.load}." if self.truck.load else "My truck is empty."
