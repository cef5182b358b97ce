"""A bare livekit-agents worker that answers every call with a tone: what the harness itself is tried on.

The dispatch's metadata is a JSON object: ``frequency`` in hertz, ``seconds``, and perhaps ``hole``, a list of the
seconds at which a silence begins and ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from livekit import rtc
from livekit.agents import AgentServer, JobContext, JobExecutorType

from e2e.pcm import RATE, Pcm, tone

FRAME = RATE // 50
AGENT_NAME = "tone"

# A busy machine must not keep it from taking jobs, and every dispatch needs an idle slot.
server = AgentServer(
    job_executor_type=JobExecutorType.THREAD, num_idle_processes=4, load_fnc=lambda: 0.0, host="127.0.0.1", port=0
)


def sound_of(request: dict[str, Any]) -> Pcm:
    """Return the tone, with its hole."""
    sound = tone(request["frequency"], request["seconds"])
    if hole := request.get("hole"):
        sound[round(hole[0] * RATE) : round(hole[1] * RATE)] = 0
    return sound


@server.rtc_session(agent_name=AGENT_NAME)
async def play(context: JobContext) -> None:
    """Join, play the tone, stay until the room is closed."""
    await context.connect()
    source = rtc.AudioSource(RATE, 1, queue_size_ms=200)
    await context.room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("voice", source))
    await context.wait_for_participant()
    sound = sound_of(json.loads(context.job.metadata))
    for start in range(0, len(sound) - FRAME + 1, FRAME):
        await source.capture_frame(rtc.AudioFrame(sound[start : start + FRAME].tobytes(), RATE, 1, FRAME))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(server.run())
