"""Lets a worker take as many sessions as it has descriptors for, and have as many descriptors as they need.

A process that has none left fails anywhere: calls that are connecting, models, the log. So it is settled at the start
how many sessions fit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from openrtc.errors import OpenRTCError
from openrtc.observe.health.connections import KEPT_DESCRIPTORS, MOST_CONNECTIONS
from openrtc.posix import count_free_descriptors, raise_descriptor_limit, read_descriptor_limits
from openrtc.runtime.runtime import Runtime

logger = logging.getLogger("openrtc.worker")

PER_MEMBER = 13
"""Descriptors of one agent in a room: 9 of the room, with IPv4 and IPv6, and 4 for the connections of its models and
tools. Counted in ``/proc/PID/fd`` of a worker with livekit 1.1.21: 6.8 to 7.7 for each member of 12 to 30
sessions of a class, of one with offline models and callers, and of a cast of three."""
PER_LOOP = 4
"""What a session in a thread of its own needs besides, for its loop."""
PER_PROCESS = 4
"""What the worker needs for a session in a process of its own: two pipes and two sockets."""
FOR_OTHERS = 96 + MOST_CONNECTIONS + KEPT_DESCRIPTORS
"""What the worker opens later besides: 25 of its own and of livekit's native library, the sockets of rooms that are
joining, most of which are closed when they are connected, and the connections to its health server; and what is kept
for calls beyond all that, such as an agent's own files and rooms."""


def fit_sessions(runtime: Runtime) -> Runtime:
    """Return what calls share, with no more sessions than this process may have descriptors for.

    The soft limit of the process is raised as far as the sessions need it, and no further: code that calls ``select()``
    fails with descriptors from 1,024 on. One line says so where anything changes.

    Args:
        runtime: What the calls share, with the settings; its agents are loaded.

    Raises:
        OpenRTCError: Not even one session fits.
    """
    limits, free = read_descriptor_limits(), count_free_descriptors()
    if limits is None or free is None:
        return runtime
    soft, hard = limits
    wanted, each = runtime.config.worker.max_sessions, max(_list_needs(runtime), default=PER_MEMBER)
    own = soft - free + FOR_OTHERS
    needed = own + wanted * each
    if needed <= soft:
        return runtime
    limit = soft
    if hard > soft and raise_descriptor_limit(int(min(needed, hard))):
        limit = int(min(needed, hard))
    fitting = (limit - own) // each
    if fitting < 1:
        problem = f"this process may open {limit} descriptors, and a worker with one session needs {own + each}"
        raise OpenRTCError(problem, fix=f"let it open {needed}, by ulimit -n, LimitNOFILE= or the like")
    raised = f"; its limit was raised from {soft} to {limit}" if limit > soft else ""
    if fitting >= wanted:
        logger.info("%d sessions need up to %d descriptors each of this process%s", wanted, each, raised)
        return runtime
    logger.warning(
        "max_sessions is %d instead of %d: a session needs up to %d descriptors, and this process may open %d%s; "
        "for %d sessions, let it open %d (ulimit -n)",
        fitting,
        wanted,
        each,
        limit,
        raised,
        wanted,
        needed,
    )
    return replace(runtime, config=replace(runtime.config, worker=replace(runtime.config.worker, max_sessions=fitting)))


def _list_needs(runtime: Runtime) -> Iterator[int]:
    """Yield how many descriptors a session of each ready agent takes in this process."""
    for name in runtime.catalog.ready:
        kind = runtime.catalog.isolation(name, runtime.config)
        cast = runtime.catalog.resolve_cast([name])
        members = len(cast.members) if cast else 1
        if kind == "process":
            yield PER_PROCESS
        else:
            yield members * PER_MEMBER + (PER_LOOP if kind == "thread" else 0)
