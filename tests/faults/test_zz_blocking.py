"""Code that blocks the loop which all calls share. The bystander does have that hole; it is told while it lasts.

The last file of this folder, because 20 s of it leave nobody untouched.
"""

from __future__ import annotations

import pytest

from faults.conftest import Inject
from faults.stage import Stage

TOLD = r"the loop (has been|was) blocked for \d"


@pytest.mark.parametrize(("agent", "seconds"), [("blocks-short", 0.1), ("blocks-second", 1.0), ("blocks-long", 20.0)])
def test_an_agent_blocks_the_loop(inject: Inject, agent: str, seconds: float) -> None:
    with inject(f"agent blocks the loop for {seconds:g} s", lost=f"{seconds:g} s of every call") as fault:
        fault.blocked = seconds
        caller = fault.call(agent)
        caller.wait_for_agent(seconds + 30.0)


def test_after_all_faults_nothing_is_left_behind(stage: Stage) -> None:
    assert not stage.why_more_than_at_first()
    assert stage.bystander_sounds()
