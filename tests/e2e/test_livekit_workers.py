"""Packages that were written as workers of their own, in livekit-agents' way, in one worker: nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.callers import Caller, CallersProcess
from e2e.cli import CommandLine
from e2e.packages import Package
from e2e.server_api import Dispatch, ServerApi
from e2e.worker import WorkerProcess
from openrtc.server.local import LocalServer

SERVER = """
import logging

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobProcess, JobRequest, cli

logger = logging.getLogger("front-desk")


async def chime():
    for start in range(0, 24_000, 1200):
        times = (np.arange(1200) + start) / 24_000
        samples = (np.sin(2 * np.pi * 600 * times) * 9000).astype(np.int16)
        yield rtc.AudioFrame(samples.tobytes(), 24_000, 1, 1200)


class Assistant(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You answer at the front desk.")

    async def on_enter(self) -> None:
        self.session.say("Good morning.", audio=chime())


def prewarm(proc: JobProcess) -> None:
    proc.userdata["greeted"] = []
    logger.info("CASE prewarm")


async def on_request(request: JobRequest) -> None:
    if request.room.metadata == "closed":
        await request.reject()
        return
    await request.accept(name="Front desk", attributes={"floor": "2"})


async def on_session_end(ctx: JobContext) -> None:
    report = ctx.make_session_report()
    said = [item.text_content for item in report.chat_history.items if item.type == "message"]
    logger.info("CASE report of %s: %s, userdata %s", report.room, said, sorted(ctx.proc.userdata))


server = AgentServer(setup_fnc=prewarm, drain_timeout=5)


@server.rtc_session(agent_name="reception", on_request=on_request, on_session_end=on_session_end)
async def my_agent(ctx: JobContext) -> None:
    ctx.proc.userdata["call"] = ctx.room.name
    session = AgentSession()
    await session.start(agent=Assistant(), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
"""

OPTIONS = """
import logging

from livekit.agents import JobContext, JobProcess, WorkerOptions, cli

logger = logging.getLogger("night-desk")


def prewarm(proc: JobProcess) -> None:
    proc.userdata["rooms"] = 7
    logger.info("CASE prewarm of the night")


async def entrypoint(ctx: JobContext) -> None:
    async def bye() -> None:
        logger.info("CASE bye")

    ctx.add_shutdown_callback(bye)
    await ctx.connect()
    await ctx.room.local_participant.set_attributes({"userdata": repr(ctx.proc.userdata)})
    await ctx.wait_for_participant()


if __name__ == "__main__":
    cli.run_app(WorkerOptions(entrypoint_fnc=entrypoint, prewarm_fnc=prewarm, num_idle_processes=1))
"""

HOOKS = """
import logging

from openrtc import hookimpl

logger = logging.getLogger("hooks")


@hookimpl
def openrtc_session(call, session):
    session.on("close", lambda event: logger.info("CASE session of %s closed", call.agent_name))


@hookimpl
def openrtc_session_started(call):
    logger.info("CASE session of %s started", call.agent_name)


@hookimpl
def openrtc_session_ended(call, reason):
    logger.info("CASE session of %s ended", call.agent_name)
"""

BROKEN = """
from livekit.agents import AgentServer, JobContext

server = AgentServer()


def load(proc) -> None:
    raise FileNotFoundError("weights.bin")


server.setup_fnc = load


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
"""

MAIL = """
from livekit.agents import Agent, AgentSession, JobContext, function_tool

_IDENTITY = {"owner": False}  # livekit-agents gives each job a process


def recognise(identity: str) -> None:
    _IDENTITY["owner"] = identity == "owner"


@function_tool
async def read_mail() -> str:
    \"\"\"Read the owner's mail.\"\"\"
    return "There are three mails." if _IDENTITY["owner"] else "Access denied."


async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
    recognise((await ctx.wait_for_participant()).identity)
    await AgentSession().start(Agent(instructions="Help.", tools=[read_mail]), room=ctx.room)
    await ctx.room.local_participant.set_attributes({"started": "yes"})


async def paid(ctx: JobContext) -> None:
    await ctx.connect()
    raise ValueError("the api_key of the model must be set")
"""

BRIEF = """
import logging

from livekit.agents import Agent, AgentSession, JobContext

logger = logging.getLogger("brief-desk")


async def entrypoint(ctx: JobContext) -> None:
    async def bye(reason: str) -> None:
        logger.info("CASE end of %s: %s", ctx.room.name, reason)

    ctx.add_shutdown_callback(bye)
    session = AgentSession()
    await session.start(Agent(instructions="Say nothing."), room=ctx.room)
    await session.aclose()
    logger.info("CASE %s is served", ctx.room.name)
"""

WORKERS = Package(
    name="desks",
    modules={
        "brief_desk.py": BRIEF,
        "front_desk.py": SERVER,
        "night_desk.py": OPTIONS,
        "lost_desk.py": BROKEN,
        "hooks.py": HOOKS,
    },
    plugins={"hooks": "hooks"},
    agents={
        "front": "front_desk:server",
        "night": "night_desk:entrypoint",
        "day": "night_desk:entrypoint",
        "lost": "lost_desk:server",
        "brief": "brief_desk:entrypoint",
    },
)


def said(worker: WorkerProcess) -> list[str]:
    return [str(record["message"]) for record in worker.records("^CASE ")]


def test_what_they_bring_counts_in_one_worker_for_all(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    folders = [WORKERS.install_into(tmp_path / "packages")]
    isolation = ("--isolate", "night=process", "--isolate", "day=thread")
    worker = start_worker("--allow", WORKERS.name, *isolation, "--limit", "brief=1", folders=folders, isolates=True)
    assert said(worker)[:2] == ["CASE prewarm of the night", "CASE prewarm"], "each once, before it is registered"
    worker.wait_for_log("agent 'lost' cannot serve: its prewarm failed: FileNotFoundError: weights.bin at ")
    worker.wait_for_log(
        "agent 'front': prewarmed by front_desk:prewarm; agent name 'reception' .* drain_timeout not used"
    )
    worker.wait_for_log('registered worker.*"agent_name": "reception"')

    for room in ("brief-1", "brief-2"):  # the one slot is free while the first caller is still there
        callers.join(room, api.token(room, "ann"), speaks=False).wait_for_agent()
        worker.wait_for_log(f"CASE {room} is served")
    worker.wait_for_log("CASE end of brief-1: its sessions have closed, and the worker is full")

    caller = callers.join("ann", api.token("front-1", "ann"), speaks=False)
    others = [callers.join(name, api.token(f"{name}-1", name), speaks=False) for name in ("day", "night")]
    agent = caller.wait_for_agent()
    assert (agent["name"], agent["attributes"]["floor"]) == ("Front desk", "2")
    assert agent["identity"].startswith("agent-AJ_")
    assert (agent["attributes"]["lk.agent.name"], agent["attributes"]["openrtc.agent"]) == ("reception", "front")
    assert caller.wait_for_answer(0.0) is not None
    for other in others:  # in a thread and in a process of their own
        wait_for_attribute(other, "userdata", "{'rooms': 7}")
    for one in (caller, *others):
        one.leave()
    api.delete_all_rooms()  # a job of livekit-agents' own kind waits for that, or for the room's departure timeout
    worker.wait_for_log(r"CASE report of front-1: \['Good morning\.'\], userdata \['call', 'greeted'\]")
    worker.wait_for_log(r"CASE bye")
    worker.wait_for_log("CASE session of front ended")
    worker.wait_for_log("CASE session of front closed")
    assert "CASE session of front started" in said(worker)

    dispatch = Dispatch(room="hotel-1", agent_name="reception")
    closed = callers.join("eve", api.token("hotel-1", "eve", agents=[dispatch], room_metadata="closed"), speaks=False)
    assert "hotel-1" in worker.wait_for_log("rejected: agent 'front': its on_request rejected it")
    closed.leave()


def wait_for_attribute(caller: Caller, name: str, expected: str) -> None:
    """Wait until the agent of a caller's room has set an attribute."""

    def tells(event: dict[str, Any]) -> bool:
        return event["caller"] == caller.name and name in (event.get("attributes") or {})

    assert caller.process.wait_for(tells, 60.0)["attributes"][name] == expected


MAILBOX = Package(
    name="mailbox",
    modules={"mail_desk.py": MAIL},
    agents={"mail": "mail_desk:entrypoint", "paid": "mail_desk:paid"},
)
ALLOWED = ("--allow", f"{MAILBOX.name},openrtc-offline")


def test_a_stranger_is_not_taken_for_the_owner_whose_call_a_module_remembers(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    folders = [MAILBOX.install_into(tmp_path / "packages")]
    variables = {"OPENRTC_LLM": "offline:", "OPENRTC_TTS": "offline:"}
    worker = start_worker(*ALLOWED, folders=folders, variables=variables, isolates=True)
    worker.wait_for_log(r"agent 'mail': a process for each call, since it writes _IDENTITY at .*mail_desk\.py:8")

    def ask(caller: Caller, expected: str) -> None:
        before = len(caller.events("transcription"))
        caller.send_text("Read the owner's mail.")

        def answers(event: dict[str, Any]) -> bool:
            told = [one["text"] for one in caller.events("transcription")[before:] if one["identity"] != caller.name]
            return event["caller"] == caller.name and expected in " ".join(told)

        caller.process.wait_for(answers)

    stranger = callers.join("stranger", api.token("mail-1", "stranger"), speaks=False)
    wait_for_attribute(stranger, "started", "yes")
    ask(stranger, "Access denied.")
    owner = callers.join("owner", api.token("mail-2", "owner"), speaks=False)
    wait_for_attribute(owner, "started", "yes")
    ask(owner, "There are three mails.")
    ask(stranger, "Access denied.")
    api.delete_all_rooms()


@pytest.mark.realtime
def test_the_demo_talks_to_them_in_rooms(server: LocalServer, tmp_path: Path) -> None:
    folders = [MAILBOX.install_into(tmp_path / "packages")]
    done = CommandLine(server.url, server.api_key, server.api_secret, folders=folders).run("demo", *ALLOWED)
    assert done.code == 0, done.out + done.err
    assert "  called    read_mail()" in done.out.splitlines()
    assert "  said      Access denied." in done.out
    assert "  left out  paid: ValueError: the api_key of the model must be set" in done.out
    assert "1 good call of 1" in done.out
