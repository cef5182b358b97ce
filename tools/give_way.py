"""Runs a command that gets only what others leave of the processors: ``python tools/give_way.py COMMAND …``.

Where OPENRTC_BACKGROUND names a control group, the command and all that it starts belong to that. Elsewhere Linux
weighs sessions against each other before nice values count, so that the command gets a session of the least weight.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

GROUP = "OPENRTC_BACKGROUND"
"""Names the folder of a control group of little weight."""
LEAST_WEIGHT = 19


def give_way() -> None:
    """Let this process, and all that it starts, come after all others."""
    if group := os.environ.get(GROUP):
        Path(group, "cgroup.procs").write_text("0")  # which stands for the one that writes
        return
    if os.name != "posix":
        return
    with suppress(OSError):  # it leads a session already
        os.setsid()
    with suppress(OSError):  # a system without them
        Path("/proc/self/autogroup").write_text(str(LEAST_WEIGHT))
    os.nice(LEAST_WEIGHT)


def come_first() -> None:
    """Take that back for this process, and all that it starts from now on, where it may."""
    with suppress(OSError):
        if group := os.environ.get(GROUP):
            Path(group).parent.joinpath("cgroup.procs").write_text("0")
    with suppress(OSError, AttributeError):  # only root may
        os.setpriority(os.PRIO_PROCESS, 0, 0)
        Path("/proc/self/autogroup").write_text("0")


if __name__ == "__main__":
    give_way()
    os.execvp(sys.argv[1], sys.argv[1:])
