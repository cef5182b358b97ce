"""A LiveKit entrypoint, and a plugin that logs what livekit-agents' own report says of each session."""

from __future__ import annotations

import json
from typing import Any

from e2e.cast_room import events_of
from e2e.packages import Package
from e2e.worker import WorkerProcess

LEDGER = Package(
    name="ledger-watcher",
    modules={
        "ledger_watcher.py": """
            import json
            import logging

            from livekit.agents import AgentSession, JobContext, get_job_context

            from e2e.cast_agents import TURNS, Talker
            from e2e.cast_models import TalkLLM, ToneSTT, ToneTTS
            from openrtc import current_member, hookimpl

            logger = logging.getLogger("ledger-watcher")


            async def desk(context: JobContext):
                session = AgentSession(stt=ToneSTT(), llm=TalkLLM("Tim", "desk"), tts=ToneTTS(440.0), **TURNS)
                await session.start(Talker(), room=context.room)


            @hookimpl
            def openrtc_session(call, session):
                member = call.cast_member.role if call.cast_member else ""

                def report(event):
                    usage = get_job_context().make_session_report(session).to_dict()["usage"]
                    logger.info("CASE %s", json.dumps({"agent": call.agent_name, "usage": usage}))
                    call.record(f"models {member}".strip(), len(usage or []))

                session.on("close", report)


            @hookimpl
            async def openrtc_session_ended(call, reason):
                call.record("reason", reason)
                call.record("bad", {1, 2})
        """
    },
    agents={"desk": "ledger_watcher:desk"},
    plugins={"ledger": "ledger_watcher"},
)


def reported_usage(worker: WorkerProcess, agent: str) -> list[list[dict[str, Any]]]:
    """Return what livekit-agents has reported of the sessions of an agent, in the order of their ends."""
    lines = [json.loads(one["message"].partition("CASE ")[2]) for one in worker.records('CASE {"agent')]
    return [line["usage"] or [] for line in lines if line["agent"] == agent]


def told_usage(worker: WorkerProcess, room: str) -> list[dict[str, Any]]:
    """Return the usage events of a room, each as livekit-agents' report has it."""
    usage = events_of(worker, room, "usage")
    return [{name: one[name] for name in ("type", "provider", "model")} | one["counts"] for one in usage]
