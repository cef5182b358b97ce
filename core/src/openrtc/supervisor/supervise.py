"""Runs the supervisor of ``openrtc start --processes``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from openrtc.supervisor.nursery_link import NurseryLink
from openrtc.supervisor.part import same_command
from openrtc.supervisor.supervisor import Supervisor


def supervise(processes: int, environ: Mapping[str, str]) -> int:
    """Keep ``processes`` workers running until told to stop; returns the exit code.

    Args:
        processes: How many.
        environ: The environment that this process was started with: the workers read their settings themselves, so
            that a changed file counts after a rolling restart.
    """
    supervisor = Supervisor(processes, lambda told, lost: NurseryLink.open(same_command(), environ, told, lost))
    return asyncio.run(supervisor.run())
