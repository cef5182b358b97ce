"""Rooms and callers that come, go and come too often."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from e2e.server_api import Dispatch
from faults.conftest import Inject
from faults.stage import Stage, tolerate_missing

NATIVE_PANIC_SECONDS = 17.0
"""A cancelled connect would end the process 15 seconds later."""
DISPATCHES = 10
BURST = 12


def test_rooms_are_deleted_while_the_agent_joins_and_callers_leave_at_once(inject: Inject, stage: Stage) -> None:
    lost = "nothing: nobody is there any more"
    with inject("rooms deleted while their agents join; callers leave at once", lost=lost) as fault:
        for _ in range(3):
            fault.call("alpha-hello")
            fault.everybody_leaves()
        for delay in (0.02, 0.1, 0.15, 0.2, 0.25, 0.3):
            room = fault.room("alpha-gone")
            stage.api.create_room(room)
            time.sleep(delay)
            with tolerate_missing():
                stage.api.delete_room(room)
        time.sleep(NATIVE_PANIC_SECONDS)
        fault.wait_until_ended(40.0)


def test_many_rooms_are_dispatched_to_at_once(inject: Inject, stage: Stage) -> None:
    with inject(f"{BURST} simultaneous dispatches", lost=f"nothing: {BURST} of {BURST} are taken") as fault:
        rooms = [fault.room("alpha-burst") for _ in range(BURST)]
        with ThreadPoolExecutor(BURST) as pool:
            list(pool.map(stage.api.create_room, rooms))  # each new room gets its agent by automatic dispatch
        until = time.monotonic() + 20.0
        while not all((found := stage.api.agents_in(rooms)).values()) and time.monotonic() < until:
            time.sleep(0.2)
        assert all(found.values())


def test_a_room_is_dispatched_to_ten_times(inject: Inject, stage: Stage) -> None:
    with inject("one room dispatched to ten times", lost="nothing: ten agents come, as asked") as fault:
        room = fault.room("alpha-tenfold")
        stage.api.create_room(room)
        stage.api.dispatch_all([Dispatch(room=room) for _ in range(DISPATCHES - 1)])
        until = time.monotonic() + 40.0
        while len(agents := stage.api.agents_in([room])[room]) < DISPATCHES and time.monotonic() < until:
            time.sleep(0.2)
        assert len(set(agents)) == DISPATCHES, "one for each dispatch"
