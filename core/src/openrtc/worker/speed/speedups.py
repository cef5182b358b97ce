"""Makes the calls of a process cheaper, with the behaviour of livekit-agents' own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import NamedTuple

from openrtc.worker.upstream.emitter import keep_signatures, why_signatures_not_kept
from openrtc.worker.upstream.http import share_connections, why_connections_not_shared
from openrtc.worker.upstream.native_client import change_client, why_client_not_changed
from openrtc.worker.upstream.pace import keep_pace, why_pace_not_kept
from openrtc.worker.upstream.rtc import route_events, why_not_routed
from openrtc.worker.upstream.schemas import keep_schemas, why_schemas_not_kept
from openrtc.worker.upstream.vad import detect_in_loop, why_not_in_loop

logger = logging.getLogger("openrtc.worker")


class _Speedup(NamedTuple):
    """One way to make calls cheaper: why it cannot be used with this livekit, and how it is."""

    why_not: Callable[[], str | None]
    use: Callable[[], None]


_SPEEDUPS = {
    "vad": _Speedup(why_not_in_loop, detect_in_loop),
    "native": _Speedup(why_client_not_changed, change_client),
    "events": _Speedup(why_not_routed, route_events),
    "pace": _Speedup(why_pace_not_kept, keep_pace),
    "signatures": _Speedup(why_signatures_not_kept, keep_signatures),
    "schemas": _Speedup(why_schemas_not_kept, keep_schemas),
    "connections": _Speedup(why_connections_not_shared, share_connections),
}


def use_speedups(chosen: Collection[str]) -> None:
    """Make calls cheaper from now on; what does not fit this livekit is left off, with one line.

    Args:
        chosen: Some of `openrtc.config.SPEEDUPS`; the choice of the event loop is made before there is one.
    """
    for name, speedup in _SPEEDUPS.items():
        if name not in chosen:
            continue
        if reason := speedup.why_not():
            logger.warning("speedup %r is off: OpenRTC does not know %s of this livekit-agents", name, reason)
        else:
            speedup.use()
