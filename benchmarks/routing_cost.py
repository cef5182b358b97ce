"""What a routing decision costs with 1, 10 and 100 routers, none of which decides: the default agent gets the call.

    python benchmarks/routing_cost.py [DECISIONS]

Async routers run in the loop; the others each in a thread with its time limit.
"""

from __future__ import annotations

import asyncio
import sys
import time
from statistics import median
from types import SimpleNamespace
from typing import Any

from openrtc.catalog.catalog import Catalog
from openrtc.model.agents import AgentSpec
from openrtc.model.hookspecs import hookimpl
from openrtc.model.request import RouteRequest
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.load import Loaded
from openrtc.routing.router import Router

COUNTS = (0, 1, 10, 100)


def build_undecided_router(number: int, *, waits: bool) -> Any:
    """Return a plugin with a router that leaves every call to others."""

    async def openrtc_route(request: Any, agents: Any) -> None:
        return None

    def in_thread(request: Any, agents: Any) -> None:
        return None

    in_thread.__name__ = "openrtc_route"
    route = hookimpl(openrtc_route if waits else in_thread)
    return SimpleNamespace(name=f"r{number}", distribution=f"r{number}", target=SimpleNamespace(openrtc_route=route))


async def milliseconds(count: int, decisions: int, *, waits: bool) -> float:
    """Return how long a decision takes."""
    catalog = Catalog.of(Loaded(), specs=[AgentSpec(name="desk", agent=object)])
    router = Router(catalog, Hooks([build_undecided_router(number, waits=waits) for number in range(count)]))
    times = []
    for number in range(decisions):
        request = RouteRequest.parse(room_name=f"call-{number}", job_metadata='{"tier": "gold"}')
        began = time.perf_counter()
        decision = await router.route(request)
        times.append((time.perf_counter() - began) * 1000)
        assert decision.agents == ("desk",)
    return median(times)


def main() -> None:
    """Print the median of a decision by the number and kind of routers."""
    decisions = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"{'routers':>10}{'async, ms':>14}{'in threads, ms':>18}")
    for count in COUNTS:
        here, there = (asyncio.run(milliseconds(count, decisions, waits=waits)) for waits in (True, False))
        print(f"{count:>10}{here:>14.2f}{there:>18.2f}")


if __name__ == "__main__":
    main()
