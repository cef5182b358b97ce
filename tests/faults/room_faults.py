"""Rooms and callers that come, go and come too often."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from e2e.server_api import Dispatch
from faults.stage import Fault, Injection, tolerate_missing
from waiting import poll_until

NATIVE_PANIC_SECONDS = 17.0
"""A cancelled connect would end the process 15 seconds later."""
DISPATCHES = 10
BURST = 12


def come_and_go(fault: Fault) -> None:
    """Delete rooms while the agent joins, and let callers leave at once."""
    for _ in range(3):
        fault.call("alpha-hello", subscribes=False)
        fault.everybody_leaves()
    for delay in (0.02, 0.1, 0.15, 0.2, 0.25, 0.3):
        room = fault.room("alpha-gone")
        fault.stage.api.create_room(room)
        time.sleep(delay)
        with tolerate_missing():
            fault.stage.api.delete_room(room)
    time.sleep(NATIVE_PANIC_SECONDS)
    fault.wait_until_ended(40.0)


def dispatch_at_once(fault: Fault) -> None:
    """Dispatch to many rooms at once."""
    assert all(fault.stage.api.wait_for_agents(make_many_rooms(fault), 20.0).values())


def make_many_rooms(fault: Fault) -> list[str]:
    """Make many rooms at once, and return their names: each gets its agent by automatic dispatch."""
    rooms = [fault.room("alpha-burst") for _ in range(BURST)]
    with ThreadPoolExecutor(BURST) as pool:
        list(pool.map(fault.stage.api.create_room, rooms))
    return rooms


def dispatch_ten_times(fault: Fault) -> None:
    """Dispatch to one room ten times."""
    room = fault.room("alpha-tenfold")
    fault.stage.api.create_room(room)
    fault.stage.api.dispatch_all([Dispatch(room=room) for _ in range(DISPATCHES - 1)])
    poll_until(lambda: len(fault.stage.api.agents_in([room])[room]) >= DISPATCHES, 40.0)
    assert len(set(fault.stage.api.agents_in([room])[room])) == DISPATCHES, "one for each dispatch"


FAULTS = {
    "rooms come and go": Injection(
        "rooms deleted while their agents join; callers leave at once", "nothing: nobody is there any more", come_and_go
    ),
    "dispatched at once": Injection(
        f"{BURST} simultaneous dispatches", f"nothing: {BURST} of {BURST} are taken", dispatch_at_once
    ),
    "dispatched ten times": Injection(
        "one room dispatched to ten times", "nothing: ten agents come, as asked", dispatch_ten_times
    ),
}
