"""A session that is recorded: transcript and usage in the report, written as a file when the job ends."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli

from e2e.livekit_ways.paid import Ears, Mind, Voice

logger = logging.getLogger("recorded")
server = AgentServer()


async def write_report(ctx: JobContext) -> None:
    report = ctx.make_session_report()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{report.room}.json"
        path.write_text(json.dumps(report.to_dict()))
        written = json.loads(path.read_text())
    said = [item["content"] for item in written["chat_history"]["items"] if item["type"] == "message"]
    logger.info("report: %s, ended %s", said, [event["type"] for event in written["events"]][-1])
    recording = report.audio_recording_path
    logger.info("recording: %s", recording is not None and recording.stat().st_size > 1000)


@server.rtc_session(agent_name="recorded", on_session_end=write_report)
async def entrypoint(ctx: JobContext) -> None:
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"what time do you open": "The museum opens at ten."}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
    )
    await session.start(agent=Agent(instructions="You answer for a museum."), room=ctx.room, record=True)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
