"""What is installed is not any more what the worker has loaded."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

from e2e.recording import heard_after
from faults.drifting_agents import DRIFTING
from faults.silence import silence_between
from faults.stage import EDGE, Fault, Injection
from waiting import poll_until

NOTICED_WITHIN = 40.0
"""The worker looks each 10 s, and waits until nothing changes any more."""


def upgrade(fault: Fault) -> None:
    """Upgrade a package under a call, and let further calls come."""
    caller = fault.call("drifts")
    caller.wait_for("track_subscribed")
    poll_until(lambda: heard_after(caller.recordings(), 0.0))
    heard = time.time()
    version = f"2.0.{next(fault.stage.numbers)}"
    for old in fault.stage.packages.glob("drifting_agents-*.dist-info"):
        shutil.rmtree(old)
    replace(DRIFTING, version=version).install_into(fault.stage.packages)
    told = rf"drifting-agents {version} .*: calls go on with what is loaded until the worker is restarted"
    fault.wait_for_report(told, NOTICED_WITHIN)
    fault.call("imports-late", subscribes=False)
    fault.wait_for_report("agent 'imports-late' failed: .*drifting-agents.*restart or roll it", in_table=False)
    later = fault.call("drifts")
    later.wait_for("track_subscribed")
    assert silence_between(caller.recordings(), heard + EDGE, time.time() - EDGE) < fault.stage.allowed, "it goes on"
    assert sum("calls go on with what is loaded" in text for _, text in fault.messages()) == 1, "one line"


FAULTS = {
    "upgrade": Injection(
        "package upgraded on the disk while one of its agents is in a call; more calls; one imports a further module",
        "the call that imports it: what is loaded serves the others until the worker is restarted",
        upgrade,
    )
}
