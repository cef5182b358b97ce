"""A spoken call to each sample agent: the question is asked aloud, its tool's result is heard, and nobody else is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from e2e.callers import Caller, CallersProcess
from e2e.energy import Span, find_sounds
from e2e.pcm import RATE
from e2e.pitch import pitch
from e2e.recognition import Recogniser
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from e2e.speech import Voice
from e2e.worker import WorkerProcess, openrtc_worker
from openrtc.server import LocalServer

pytestmark = pytest.mark.realtime

DESK = "sample-desk"
PACKAGES = ("my-support-agent", "my-sales-agent", "dispatch-desk", "my-vip-router", "openrtc-offline")
SLOWEST_ANSWER = 30.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversation:
    """One call.

    Args:
        agent: Who must answer.
        name: The name that the caller sees.
        room: Name of the room.
        metadata: What the dispatch carries.
        greets: Whether the agent speaks first.
        question: What the caller says.
        answer: What the agent must say.
    """

    agent: str
    name: str
    room: str
    metadata: dict[str, str]
    greets: bool
    question: str
    answer: str


CONVERSATIONS = (
    Conversation(
        agent="support",
        name="support",
        room="sample-1",
        metadata={"agent": "support"},
        greets=False,
        question="Where is my order number seven?",
        answer="Order number 7 is on the truck, and arrives on Friday.",
    ),
    Conversation(
        agent="sales",
        name="Sales",
        room="sample-2",
        metadata={"agent": "sales"},
        greets=True,
        question="Please book a demonstration on Tuesday.",
        answer="Your demonstration is booked for Tuesday at two in the afternoon.",
    ),
    Conversation(
        agent="dispatcher",
        name="Tim",
        room="sample-3",
        metadata={"agent": "dispatcher"},
        greets=True,
        question="What is the route to the airport?",
        answer="Take the north road, and turn left after the bridge.",
    ),
    Conversation(
        agent="driver",
        name="Chris",
        room="driver-4",
        metadata={},
        greets=True,
        question="What is your load?",
        answer="I carry twenty boxes of apples.",
    ),
    Conversation(
        agent="sales",
        name="Sales",
        room="vip-5",
        metadata={"tier": "gold"},
        greets=True,
        question="What are the prices?",
        answer="The small plan costs ten dollars, and the large plan costs thirty dollars a month.",
    ),
)
# Every other thing that a sample agent may say: a right answer must fit better than all of them.
WRONG_ANSWERS = (
    "Order number 5 was delivered yesterday, and your neighbor has it.",
    "Order number 3 is still in our warehouse, and leaves tomorrow morning.",
    "We are open every day from nine in the morning until six in the evening.",
    "Put the green label on the box, and take it to any post office.",
    "Your demonstration is booked for Monday at two in the afternoon.",
    "Your demonstration is booked for Friday at two in the afternoon.",
    "The free trial has every feature, and ends after two weeks.",
    "The red truck is free, and waits at the harbor.",
    "Follow the river for nine miles, and stop at the yellow gate.",
    "I am on the river road, four miles from the harbor.",
    "My tank is half full.",
    "Hello, this is the sales desk.",
    "Hello, this is Tim at the dispatch desk.",
    "Hello, this is Chris in the blue truck.",
)


@pytest.fixture(scope="module")
def all_agents(
    api: ServerApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[WorkerProcess]:
    log = tmp_path_factory.mktemp("sample-agents") / "worker.log"
    options = ["--offline", "--agent-name", DESK, "--allow", ",".join(PACKAGES)]
    with openrtc_worker(api, log, *options) as running:
        show_log_on_failure(request.node, running)
        yield running.wait_until_ready()
        running.stop()


def call(api: ServerApi, callers: CallersProcess, conversation: Conversation, name: str, *, desk: str = DESK) -> Caller:
    """Join, let the agent come, and listen to its greeting."""
    caller = callers.join(name, api.token(conversation.room, name))
    api.dispatch(conversation.room, desk, json.dumps(conversation.metadata))
    agent = caller.wait_for_agent()
    assert agent["identity"].startswith(f"{conversation.agent}-")
    assert agent["name"] == conversation.name
    assert agent["attributes"]["lk.agent.name"] == conversation.agent
    caller.wait_for("track_subscribed", identity=agent["identity"])
    if conversation.greets:
        assert caller.wait_for_answer(agent["at"]) is not None, "no greeting was heard"
    return caller


def ask(caller: Caller, conversation: Conversation, voice: Voice, recogniser: Recogniser) -> None:
    """Ask the question; the answer must be heard after it, in full, from the one agent in the room."""
    asked = caller.say(voice.say(conversation.question))
    answer = caller.wait_for_answer(asked.ended, quiet=1.2, timeout=SLOWEST_ANSWER)
    written = [(event["identity"], event["text"]) for event in caller.events("transcription")]
    assert answer is not None, f"no answer was heard; written: {written}"
    (recording,) = caller.recordings()
    assert recording.identity.startswith(f"{conversation.agent}-")
    assert find_sounds(recording.between(asked.began, asked.ended), at_least=0.1) == [], "the agent spoke too early"
    sound = recording.between(asked.ended, answer.ended + 0.2)
    answers = [*(one.answer for one in CONVERSATIONS), *WRONG_ANSWERS]
    assert recogniser.which(sound, answers) == conversation.answer, (recogniser.best(sound, answers), written)


@pytest.fixture(scope="module")
def conversations_at_once(
    all_agents: WorkerProcess,
    api: ServerApi,
    server: LocalServer,
    tmp_path_factory: pytest.TempPathFactory,
    voice: Voice,
    recogniser: Recogniser,
) -> Iterator[dict[str, Future[None]]]:
    """What became of the conversations, by room, which are held side by side: a future fails with what was wrong."""
    for conversation in CONVERSATIONS:
        voice.say(conversation.question)
    with (
        CallersProcess(server.url, tmp_path_factory.mktemp("callers")) as callers,
        ThreadPoolExecutor(len(CONVERSATIONS)) as threads,
    ):
        joining = {one: threads.submit(call, api, callers, one, one.room) for one in CONVERSATIONS}
        wait(joining.values())

        def go_on(conversation: Conversation) -> None:
            ask(joining[conversation].result(), conversation, voice, recogniser)

        held = {one.room: threads.submit(go_on, one) for one in CONVERSATIONS}
        wait(held.values())
        for room in held:
            api.delete_room(room)
        yield held


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: f"{one.agent}-in-{one.room}")
def test_a_spoken_question_is_answered_with_what_the_agents_tool_returns_beside_all_others(
    conversations_at_once: dict[str, Future[None]], conversation: Conversation
) -> None:
    conversations_at_once[conversation.room].result()


@pytest.mark.usefixtures("all_agents")
def test_the_two_members_of_the_sample_cast_have_voices_of_their_own(api: ServerApi, callers: CallersProcess) -> None:
    caller = callers.join("ann", api.token("sample-cast", "ann"), speaks=False)
    api.dispatch("sample-cast", DESK, json.dumps({"agent": "dispatch"}))
    until = time.time() + SLOWEST_ANSWER
    while len(speeches := spans_of(caller)) < 3 or max(span.end for _, span in speeches) > time.time() - 1.0:
        assert time.time() < until, speeches
        time.sleep(0.3)
    assert [who for who, _ in speeches] == ["dispatcher", "driver", "dispatcher"]
    assert all(later.start - sooner.end > -0.2 for (_, sooner), (_, later) in pairwise(speeches))
    assert {one["name"] for one in caller.events("participant_connected")} == {"Tim", "Chris"}
    heights = {recording.identity: pitch(recording.sound) for recording in caller.recordings()}
    low, high = sorted(heights.values())
    assert high > 1.2 * low, heights
    api.delete_room("sample-cast")


def spans_of(caller: Caller) -> list[tuple[str, Span]]:
    """Return who was heard, by role, and when, by the wall clock."""
    heard: list[tuple[str, Span]] = []
    for recording in caller.recordings():
        for span in find_sounds(recording.sound, join=0.9, at_least=0.3):
            start, end = (recording.time_of(round(at * RATE)) for at in (span.start, span.end))
            heard.append((recording.identity.partition("-")[0], Span(start, end)))
    return sorted(heard, key=lambda one: one[1].start)


def test_with_the_silero_package_allowed_a_call_is_heard_through_its_detector(
    start_worker: Callable[..., WorkerProcess],
    api: ServerApi,
    callers: CallersProcess,
    voice: Voice,
    recogniser: Recogniser,
) -> None:
    allowed = ",".join([*PACKAGES, "openrtc-silero"])
    worker = start_worker("--offline", "--agent-name", "silero-desk", "--allow", allowed)
    assert len(worker.records("resource 'vad' of openrtc-silero loaded")) == 1
    conversation = replace(CONVERSATIONS[0], room="sample-silero")
    ask(call(api, callers, conversation, "ann", desk="silero-desk"), conversation, voice, recogniser)
    api.delete_room(conversation.room)
