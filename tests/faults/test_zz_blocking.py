"""Code that blocks the loop which all calls share. The bystander does have that hole; it is told while it lasts.

The last file of this folder, because 20 s of it leave nobody untouched.
"""

from __future__ import annotations

import pytest

from faults.conftest import Inject


def test_an_agent_blocks_the_loop_for_a_moment(inject: Inject) -> None:
    with inject("agent blocks the loop for 0.1 s", lost="nothing: 0.2 s of sound are buffered") as fault:
        fault.call("blocks-short").wait_for_agent()


@pytest.mark.parametrize(("agent", "seconds"), [("blocks-second", 1.0), ("blocks-long", 20.0)])
def test_an_agent_blocks_the_loop(inject: Inject, agent: str, seconds: float) -> None:
    with inject(f"agent blocks the loop for {seconds:g} s", lost=f"{seconds:g} s of every call's sound") as fault:
        fault.blocked = seconds
        fault.call(agent)
        fault.saw(rf"the loop has been blocked for .* by on_enter\(\) of agent '{agent}' at .*faulty_agents.py", 15.0)
        over = rf"the loop was blocked for .* by on_enter\(\) of agent '{agent}' .* all calls were silent meanwhile"
        fault.saw(over, seconds + 15.0, told=False)
