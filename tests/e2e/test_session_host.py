"""Who may choose an agent, and who may look into its session, and steer it, over LiveKit's session stream."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from e2e.agent_packages import CAST_AGENTS
from e2e.callers import Caller, CallersProcess
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess
from openrtc import LiveKitConnection, create_token
from openrtc_playground.tokens import create_call_token, create_watch_token
from waiting import poll_until

REFUSED = "this participant may not manage the agent's session: its token lacks the grant can_manage_agent_session"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for package in (TONE_AGENTS, CAST_AGENTS):
        where = package.install_into(tmp_path / "packages")
    return where


def refusal(caller: Caller, agent: str, kind: str = "get_agent_info") -> str:
    answer = caller.ask_session(kind, agent)
    assert answer is not None, "refused is answered at once"
    assert answer.keys() <= {"request_id", "error"}
    return str(answer.get("error"))


def choose_agents(worker: WorkerProcess, api: ServerApi, callers: CallersProcess) -> None:
    """Let callers bring agents along: one that writes its own token, one with the operator's, one with its copy."""
    connection = LiveKitConnection(url="", api_key=api.key, api_secret=api.secret)
    mine = Dispatch(room="own-1", attributes={"openrtc.agent": "alpha"})
    callers.join("mallory", api.token("own-1", "mallory", agents=[mine]), speaks=False)
    worker.wait_for_log(r"room 'own-1': rejected by job.attribute: .*'alpha': its dispatch is not signed")
    token = create_token("zoe", "given-1", agents=["alpha"], connection=connection)
    assert callers.join("zoe", token, speaks=False).wait_for_agent()
    (given,) = jwt.decode(token, options={"verify_signature": False})["roomConfig"]["agents"]
    copied = Dispatch(room="own-2", attributes=given["attributes"])
    callers.join("eve", api.token("own-2", "eve", agents=[copied]), speaks=False)
    worker.wait_for_log(r"room 'own-2': rejected by job.attribute: .* was signed with another API secret, or for")
    callers.join("max", api.token("own-3", "max", room_metadata='{"agent": "alpha"}'), speaks=False)
    worker.wait_for_log(r"room 'own-3': rejected by room.agent: .* room metadata is never signed")
    assert api.agents_in(["own-1", "own-2", "own-3"]) == {"own-1": [], "own-2": [], "own-3": []}


def wait_for_words(caller: Caller, said: str) -> None:
    poll_until(lambda: any(said in event["text"] for event in caller.events("transcription")))


def hold_calls_in_text(api: ServerApi, callers: CallersProcess) -> None:
    """Let the playground's page type to an agent and to a cast that would speak, and watch a call unseen."""
    connection = LiveKitConnection(url=api.url, api_key=api.key, api_secret=api.secret)
    for agent, greeting in {"tim": "this is Tim", "voices": ""}.items():
        given = create_call_token(connection, agent, text=True)
        writer = callers.join(f"writer-{agent}", given["token"], speaks=False, subscribes=False)
        writer.wait_for_agent()
        if greeting:
            wait_for_words(writer, greeting)
        writer.send_text("hello")  # to the cast before it listens: it waits
        wait_for_words(writer, "Tim speaks")
        assert not any(one.tracks for one in api.participants(given["room"])), "nobody speaks"
        watcher = callers.join(f"watcher-{agent}", create_watch_token(connection, given["room"])["token"], speaks=False)
        members = api.agents_in([given["room"]])[given["room"]]
        assert all("get_session_state" in (watcher.ask_session("get_session_state", one) or {}) for one in members)
        writer.send_text("and you")
        watcher.wait_for("session_event")
        assert {event["kind"] for event in writer.events("participant_connected")} == {"AGENT"}, "it is not seen"
        writer.leave()
        poll_until(lambda: not api.agents_in([given["room"]])[given["room"]])  # noqa: B023
        watcher.leave()


def test_only_operators_are_answered_and_told(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, folder: Path, tmp_path: Path
) -> None:
    options = ("--signed", "--metrics-jsonl", str(tmp_path / "events.jsonl"))
    worker = start_worker("--allow", "tone-agents,cast-agents", *options, folders=[folder])
    choose_agents(worker, api, callers)
    hold_calls_in_text(api, callers)
    ann = callers.join("ann", api.token("alpha-1", "ann"), speaks=False)
    agent = ann.wait_for_agent()["identity"]
    assert refusal(ann, agent) == refusal(ann, agent, "update_io") == REFUSED
    boss = callers.join("boss", api.token("alpha-1", "boss", manages=True), speaks=False)
    answer = boss.ask_session("get_agent_info", agent)
    assert answer and answer["get_agent_info"]["instructions"]
    boss.wait_for("session_event")
    worker.wait_for_log(r"ann asks the session for get_agent_info, and is refused")

    spy = callers.join("spy", api.token("alpha-1", "spy", hidden=True), speaks=False)
    assert refusal(spy, agent) == REFUSED
    chief = callers.join("chief", api.token("alpha-1", "chief", hidden=True, manages=True), speaks=False)
    assert refusal(chief, agent) == REFUSED, "which of the two hidden ones has asked cannot be told"
    spy.leave()
    answer = chief.ask_session("get_session_state", agent)
    assert answer and "get_session_state" in answer
    for caller in (ann, spy):
        assert not caller.events("session_event"), "nothing of the session goes to who may not manage it"

    bob = callers.join("bob", api.token("quiet-1", "bob", manages=True), speaks=False)
    eve = callers.join("eve", api.token("quiet-1", "eve"), speaks=False)
    poll_until(lambda: len(api.agents_in(["quiet-1"])["quiet-1"]) == 2)
    members = api.agents_in(["quiet-1"])["quiet-1"]
    for member in members:
        # Each member of a cast has a session of its own, a moment after it has joined.
        poll_until(lambda: "get_agent_info" in (bob.ask_session("get_agent_info", member) or {}))  # noqa: B023
        assert refusal(eve, member) == refusal(eve, member, "run_input") == REFUSED
    ear = next(member for member in members if member.startswith("dispatcher"))
    answer = bob.ask_session("run_input", ear, timeout=20.0, text="Chris, are you there")
    assert answer and answer["run_input"]["items"], "what is typed goes through the floor, to whom the cast chooses"
    spoken = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    spoken = [one for one in spoken if one.get("cause") == "person" and one["room"] == "quiet-1"]
    assert [one["member"] for one in spoken] == ["driver"]


@pytest.mark.parametrize(("setting", "answered"), [("all", True), ("off", False)])
def test_everybody_or_nobody_is_let_in_where_the_setting_says_so(
    start_worker: Callable[..., WorkerProcess],
    api: ServerApi,
    callers: CallersProcess,
    folder: Path,
    setting: str,
    answered: bool,
) -> None:
    start_worker("--allow", "tone-agents", "--session-host", setting, folders=[folder])
    ann = callers.join("ann", api.token(f"alpha-{setting}", "ann", manages=True), speaks=False)
    agent = ann.wait_for_agent()["identity"]
    answer = ann.ask_session("ping", agent, timeout=10.0)
    assert answer is not None and ("pong" in answer) is answered
    assert answered or answer["error"] == "this worker lets nobody manage its sessions"
