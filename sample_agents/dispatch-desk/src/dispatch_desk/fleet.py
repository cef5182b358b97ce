"""The fleet: trucks and routes, as both agents see them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

FLEET_KEY = "dispatch.fleet"


@dataclass(frozen=True, slots=True)
class Truck:
    """One truck.

    Args:
        color: What everybody calls it.
        position: Where it is.
        fuel: How full its tank is.
        load: What it carries; empty when it is free.
    """

    color: str
    position: str
    fuel: str
    load: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """All trucks by color, and the routes by destination."""

    trucks: Mapping[str, Truck]
    routes: Mapping[str, str]

    def free_truck(self) -> Truck | None:
        """Return a truck without a load, or None."""
        return next((truck for truck in self.trucks.values() if not truck.load), None)


def load_fleet() -> Fleet:
    """Read the table that ships with this package."""
    table = tomllib.loads(files("dispatch_desk").joinpath("fleet.toml").read_text("utf-8"))
    trucks = {color: Truck(color=color, **truck) for color, truck in table["trucks"].items()}
    return Fleet(trucks=trucks, routes=table["routes"])
