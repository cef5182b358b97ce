"""`BrokenCalls`: ends the call whose code was broken off, since it kept the loop of all calls from running."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from livekit.agents import JobContext

from openrtc.observe.events import BlockBroken
from openrtc.posix import why_no_interrupt
from openrtc.runtime.runtime import Runtime
from openrtc.session.debris import cancel_debris
from openrtc.session.failure import LoopBroken
from openrtc.worker.admission import read_decision
from openrtc.worker.blocked_loop.loop_breaker import BrokenCode, LoopBreaker
from openrtc.worker.own_code import OwnCode

logger = logging.getLogger("openrtc.worker")

BROKEN_END_SECONDS = 20.0
"""How long a broken call has to end by itself: what waits for the code that was broken off may wait for ever.
livekit-agents gives the entrypoint 15 s."""


class BrokenCalls:
    """Ends the call whose code was broken off.

    Args:
        runtime: What the calls share.
        end_soon: Takes a job that is shutting down, and how many seconds it has for that.
    """

    def __init__(self, runtime: Runtime, end_soon: Callable[[str, float], None]) -> None:
        self._runtime = runtime
        self._end_soon = end_soon

    def note_break(self, job: JobContext | None) -> None:
        """Note that the code of a job is about to be broken off."""
        if job:
            if live := self._runtime.live.get(job.job.id):
                live.failed = True
            # Not later: the loop would run them all before it comes to anything else.
            cancel_debris(job.job.id)

    def end(self, broken: BrokenCode) -> None:
        """Report that code was broken off, and end its call where it was an agent's."""
        job = broken.job
        live = self._runtime.live.get(job.job.id) if job else None
        fields = live.fields if live else _list_fields(job)
        self._log(broken, fields)
        if live and broken.ends_call:
            error = LoopBroken(f"blocked the loop for {broken.seconds:.1f} s")
            live.emit_error("agent", error, broken.place, fatal=True)
        self._runtime.events.emit(
            BlockBroken(
                **fields,
                seconds=round(broken.seconds, 3),
                place=broken.place,
                function=broken.function,
                tries=broken.tries,
            )
        )
        if job and broken.ends_call:
            job.shutdown("its code was broken off")
            self._end_soon(job.job.id, BROKEN_END_SECONDS)

    def _log(self, broken: BrokenCode, fields: dict[str, str]) -> None:
        whose = broken.plugin or (f"agent {fields['agent']!r}" if fields["agent"] else "code of an agent")
        end = "this call is ended, the others go on" if broken.ends_call else "the calls go on"
        text = "%s kept the loop of all calls from running for %.1f s, and was broken off in %s at %s; %s"
        logger.error(text, whose, broken.seconds, broken.function, broken.place, end, extra=fields)


def build_breaker(runtime: Runtime, end_soon: Callable[[str, float], None]) -> LoopBreaker | None:
    """Return what breaks off code that blocks the running loop; None where operator or system do not allow it.

    Args:
        runtime: What the calls share.
        end_soon: As for `BrokenCalls`.
    """
    seconds = runtime.config.worker.break_seconds
    if not seconds:
        return None
    if reason := why_no_interrupt():
        logger.warning("no agent that blocks the loop can be broken off: %s", reason)
        return None
    broken = BrokenCalls(runtime, end_soon)
    return LoopBreaker(
        asyncio.get_running_loop(), seconds, OwnCode(runtime.catalog).find, broken.note_break, broken.end
    )


def _list_fields(job: JobContext | None) -> dict[str, str]:
    """Return what events carry of a call that is over, or of none."""
    decision = read_decision(job.job) if job else None
    return {
        "job_id": job.job.id if job else "",
        "room": job.job.room.name if job else "",
        "agent": decision.agents[0] if decision else "",
    }
