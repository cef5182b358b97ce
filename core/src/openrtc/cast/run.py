"""Runs the call of a cast."""

from __future__ import annotations

from livekit.agents import JobContext

from openrtc.call import Call
from openrtc.cast.company import Company
from openrtc.cast.room_cast import RoomCast
from openrtc.cast.text_cast import TextCast
from openrtc.worker.runtime import CastFrontend, Runtime


async def run_cast(context: JobContext, company: Company, call: Call, runtime: Runtime) -> None:
    """Bring every member of a cast into the job's room, and let them talk until the call ends; or let them write.

    Args:
        context: LiveKit's context of the job.
        company: The cast.
        call: The call.
        runtime: What the calls of this process share.

    Raises:
        OpenRTCError: There is no room, and whoever talks to the cast cannot do so without one.
    """
    if not context.is_fake_job():
        await RoomCast(context, company, call, runtime).run()
    elif isinstance(runtime.frontend, CastFrontend) and runtime.frontend.text_only:
        await TextCast(context, company, call, runtime).run(runtime.frontend)
    else:
        raise company.why_no_room
