"""Lets a worker take as many sessions as it has descriptors for, and have as many descriptors as they need.

A process that has none left fails anywhere: calls that are connecting, models, the log. So it is settled at the start
how many sessions fit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from openrtc.catalog.catalog import Catalog
from openrtc.errors import OpenRTCError
from openrtc.observe.health.connections import KEPT_DESCRIPTORS, MOST_CONNECTIONS
from openrtc.posix import count_free_descriptors, raise_descriptor_limit, read_descriptor_limits
from openrtc.runtime.runtime import Runtime
from openrtc.settings.config import Config

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


class Needs(NamedTuple):
    """How many descriptors a worker needs.

    Args:
        wanted: Sessions that it is to take.
        each: Descriptors of a session.
        own: Descriptors of all else.
    """

    wanted: int
    each: int
    own: int

    @property
    def all(self) -> int:
        """Descriptors for all sessions."""
        return self.own + self.wanted * self.each

    def count_fitting(self, limit: float) -> float:
        """Return how many sessions fit where so many descriptors may be open."""
        return (limit - self.own) // self.each

    def build_error(self, limit: float) -> OpenRTCError:
        """Return what is said where not even one session fits."""
        problem = f"this process may open {limit} descriptors, and a worker with one session needs "
        fix = f"let it open {self.all}, by ulimit -n, LimitNOFILE= or the like"
        return OpenRTCError(f"{problem}{self.own + self.each}", fix=fix)


def compute_needs(catalog: Catalog, config: Config, open_now: int) -> Needs:
    """Return how many descriptors a worker needs for its sessions.

    Args:
        catalog: Its agents.
        config: The settings.
        open_now: Descriptors that it has open before it takes any.
    """
    each = max(_list_needs(catalog, config), default=PER_MEMBER)
    return Needs(config.worker.max_sessions, each, open_now + FOR_OTHERS)


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
    needs = compute_needs(runtime.catalog, runtime.config, soft - free)
    wanted, each, needed = needs.wanted, needs.each, needs.all
    if needed <= soft:
        return runtime
    limit = soft
    if hard > soft and raise_descriptor_limit(int(min(needed, hard))):
        limit = int(min(needed, hard))
    fitting = int(needs.count_fitting(limit))
    if fitting < 1:
        raise needs.build_error(limit)
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


def _list_needs(catalog: Catalog, config: Config) -> Iterator[int]:
    """Yield how many descriptors a session of each ready agent takes in this process."""
    for name in catalog.ready:
        kind = catalog.isolation(name, config)
        if kind == "process":
            yield PER_PROCESS
        else:
            yield catalog.get(name).member_count * PER_MEMBER + (PER_LOOP if kind == "thread" else 0)
