"""The ways: each is a file in ``agents/``, a call in `e2e.livekit_ways.calls`, and what has to come of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.packages import Package

AGENTS = Path(__file__).parent / "agents"
END = 300.0
"""The tone, in hertz, with which every sentence of an agent ends: it begins with one of its own."""
VOICE_FOLDER = "PAID_VOICE_FOLDER"
"""Environment variable: where the recordings are."""


@dataclass(frozen=True)
class Outcome:
    """What came of one call.

    Args:
        agents: Beginning of the identity, and the name, of each agent that came.
        heard: Sentences or tones, one after the other; by whom where there are several people.
        transcripts: What the agent's transcription says that was said.
        found: What the people found out: answers, streams, packets.
        attributes: What the agent told by attributes of its own.
        ended: Why the agent and the people left, if they did before the test let them.
        logged: What the agent's own code logged: tools, callbacks, reasons.
    """

    agents: list[str]
    heard: list[str]
    transcripts: list[str]
    found: list[str]
    attributes: dict[str, str]
    ended: list[str]
    logged: list[str]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}" if number else ""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to write an agent.

    Args:
        name: Name of the file, of the agent, and of the function of its call.
        what: What is special about it, for the table.
        value: What the entry point names in the module.
        sentences: What the agent says.
        tones: The tones in which it sounds besides, in hertz.
        people: Who calls.
        phones: The numbers of those who call by telephone.
        heard: What is heard; by default the sentences, one after the other.
        transcripts: What the agent's transcription says; by default the sentences, one after the other.
        found: What the people find out.
        attributes: What the agent tells by attributes.
        ended: Why somebody leaves before the people hang up.
        logged: What the agent's code logs.
        always: Whether it is tested with all else, and not by ``nox -s ways`` alone.
    """

    name: str
    what: str
    value: str = "server"
    sentences: tuple[str, ...] = ()
    tones: Mapping[str, float] = field(default_factory=dict)
    people: tuple[str, ...] = ("ann",)
    phones: Mapping[str, str] = field(default_factory=dict)
    heard: tuple[str, ...] | None = None
    transcripts: tuple[str, ...] | None = None
    found: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    ended: tuple[str, ...] = ()
    logged: tuple[str, ...] = ()
    always: bool = False

    @property
    def file(self) -> Path:
        """The agent's file."""
        return AGENTS / f"{self.name}.py"

    @property
    def outcome(self) -> Outcome:
        """What has to come of its call."""
        return Outcome(
            agents=["agent-AJ, no name"],
            heard=list(self.sentences if self.heard is None else self.heard),
            transcripts=list(self.sentences if self.transcripts is None else self.transcripts),
            found=list(self.found),
            attributes=dict(self.attributes),
            ended=list(self.ended),
            logged=list(self.logged),
        )

    @property
    def row(self) -> str:
        """Its line in the table of docs/livekit.md."""
        outcome = self.outcome
        heard = len([what for what in outcome.heard if what not in self.tones])
        tones = len(outcome.heard) - heard
        sound = [_count(heard, "sentence"), _count(tones, "tone")]
        more = [
            _count(len(outcome.transcripts), "transcript"),
            _count(len(outcome.found), "answer"),
            _count(len(outcome.attributes), "attribute"),
            _count(len(outcome.ended), "end"),
            _count(len(outcome.logged), "line") + " of its log" if outcome.logged else "",
        ]
        cells = [f"`{self.name}.py`", self.what, ", ".join(filter(None, sound)), ", ".join(filter(None, more)), "0"]
        return "| " + " | ".join(cells) + " |\n"

    @property
    def package(self) -> Package:
        """The file as a distribution."""
        agents = {self.name: f"{self.name}:{self.value}"}
        return Package(name=self.name.replace("_", "-"), modules={self.file.name: self.file.read_text()}, agents=agents)


WAYS = (
    Way(
        name="plain_entrypoint",
        always=True,
        what="a bare entrypoint, `WorkerOptions` below the main guard",
        value="entrypoint",
        sentences=("Welcome to the public library.", "We open every day at nine in the morning."),
        logged=("closed: participant_disconnected",),
    ),
    Way(
        name="server_object",
        always=True,
        what="an `AgentServer`, a tool, `on_session_end` with the report",
        sentences=("Hello, this is the weather service.", "The weather in london is warm and sunny."),
        logged=(
            "tool lookup_weather(london)",
            "closed: participant_disconnected",
            "report: ['message', 'message', 'function_call', 'function_call_output', 'message']",
        ),
    ),
    Way(
        name="prewarmed",
        what="`setup_fnc` and `ctx.proc.userdata`",
        sentences=("The shop is open all night long.",),
        logged=("prewarmed: {'vad': 'LoudVAD'}", "the caller is speaking", "the caller is listening"),
    ),
    Way(
        name="hand_off",
        always=True,
        what="a tool that hands the call over",
        sentences=("This is the front desk.", "I am the manager, and I will help you.", "Then have a good day."),
        logged=(
            "tool call_manager()",
            "the clerk leaves",
            "the manager was told ['please give me the manager']",
            "the manager leaves",
        ),
    ),
    Way(
        name="user_data",
        what="`userdata` of the session, written by tools",
        sentences=("Hello anna, what would you like?", "anna, your tea is coming."),
        logged=(
            "userdata: Order(customer='anna', items=[])",
            "userdata: Order(customer='anna', items=['tea'])",
            "ordered: Order(customer='anna', items=['tea'])",
        ),
    ),
    Way(
        name="consent_task",
        what="an `AgentTask` that `on_enter` awaits; a typed question",
        sentences=(
            "May we record this call?",
            "Thank you, the recording of this call begins now.",
            "Then have a good day.",
        ),
        logged=("tool consent_given()", "consent: True", "the helper leaves"),
    ),
    Way(
        name="task_group",
        what="a `TaskGroup`, after which the session is shut down",
        sentences=(
            "Please tell me your name.",
            "What would you like to drink?",
            "That was the whole survey.",
        ),
        logged=("results: {'name': 'anna', 'drink': 'tea'}", "closed: user_initiated"),
    ),
    Way(
        name="background_audio",
        what="`BackgroundAudioPlayer`",
        sentences=("Sorry for the noise in here.", "We are open at all hours."),
        tones={"the hum": 500.0},
        heard=("the hum", "Sorry for the noise in here.", "We are open at all hours."),
    ),
    Way(
        name="front_end_rpc",
        what="RPC from a front end, and to it",
        sentences=("Hello anna, nice to see you.", "You are in london."),
        found=(
            '{"level": 3}',
            "refuse: 4001 not for you",
            "unknown: 1400 Method not supported at destination",
            "greeted",
            'the agent asks get_place({"exact": true})',
        ),
        logged=("ann sets the level to 3", "tool find_place: london"),
    ),
    Way(
        name="streams",
        always=True,
        what="text and byte streams, data packets, attributes",
        found=("desserts stressed ", "40000 bytes, c7c6c5, back.bin, application/octet-stream", "packet: pong"),
        attributes={"speaks": "streams"},
        logged=(
            "text of ann: stressed desserts",
            "40000 bytes of ann: numbers.bin, {'kind': 'numbers'}",
            "packet: pings, ping",
        ),
    ),
    Way(
        name="video_frames",
        what="frames of a camera",
        sentences=("I see a green wall.",),
        attributes={"sees": "video"},
        logged=("the first frame has come",),
    ),
    Way(
        name="push_to_talk",
        always=True,
        what="push-to-talk: manual turns, by RPC",
        sentences=("This is the station, we open at seven.",),
        found=("listening", "cancelled", "listening", "answering"),
        logged=("turn cancelled", "turn: what time do you open"),
    ),
    Way(
        name="several_participants",
        what="a session for each participant",
        people=("ann", "bob"),
        found=("ann: what time do you open", "bob: i want tea", "ann: that is all"),
        logged=(
            "ann: what time do you open",
            "bob: i want tea",
            "bob is not listened to any more",
            "ann: that is all",
            "ann is not listened to any more",
        ),
        attributes={"ann": "is listened to", "bob": "is listened to"},
    ),
    Way(
        name="phone_caller",
        what="a caller by SIP: attributes and keys",
        sentences=("Hello to norway.", "You pressed a key."),
        phones={"ann": "+4722334455"},
        logged=("PARTICIPANT_KIND_SIP calls from +4722334455", "key 5, code 5"),
    ),
    Way(
        name="recorded",
        what="`record=True` and the report as a file",
        sentences=("The museum opens at ten.",),
        logged=(
            "report: [['what time do you open'], ['The museum opens at ten.']], ended close",
            "recording: True",
        ),
    ),
    Way(
        name="waits_for_participant",
        what="`wait_for_participant`, `participant_identity`",
        people=("other", "guest"),
        sentences=("There you are at last.", "Only you may hear that we open at noon."),
        heard=(
            "guest: There you are at last.",
            "guest: Only you may hear that we open at noon.",
        ),
        transcripts=("There you are at last.", "Only you may hear that we open at noon.") * 2,
        logged=("in the room: ['other']", "guest has come", "closed: participant_disconnected"),
    ),
    Way(
        name="participant_entrypoints",
        always=True,
        what="`add_participant_entrypoint`",
        people=("ann", "bob"),
        found=("welcome ann", "welcome bob"),
        logged=("ann is here", "ann is called ann", "bob is here", "bob is called bob"),
    ),
    Way(
        name="shutdown_callbacks",
        always=True,
        what="shutdown callbacks, `ctx.shutdown`, `ctx.delete_room`",
        sentences=("Goodbye, and thank you for calling.",),
        ended=("agent: CLIENT_INITIATED", "a person: ROOM_DELETED"),
        logged=("on_session_end", "callback: the caller said goodbye", "callback without a reason"),
    ),
    Way(
        name="said_with_audio",
        what="`session.say` with audio",
        tones={"low": 700.0, "high": 950.0},
        heard=("low", "high"),
        transcripts=("A jingle.",),
        logged=("said: ['message'], interrupted: False",),
    ),
    Way(
        name="realtime_model",
        what="a realtime model",
        tones={"alloy": 500.0},
        heard=("alloy",),
        transcripts=("one two three four five six",),
        logged=("closed: participant_disconnected",),
    ),
    Way(
        name="echo",
        what="raw audio, no agent class",
        tones={"what was said": 1000.0 + 200.0 * 6},
        heard=("what was said",),
        attributes={"echo": "on"},
        logged=("hears ann",),
    ),
    Way(
        name="mcp_tools",
        what="tools of an MCP server",
        sentences=("One tea is two dollars.",),
        logged=("tools: [('get_price', '{\"item\": \"tea\"}')]",),
    ),
)

SPOKEN = {
    sentence: 600.0 + 70.0 * number
    for number, sentence in enumerate(dict.fromkeys(sentence for way in WAYS for sentence in way.sentences))
}
"""The tone, in hertz, with which each sentence of an agent begins."""


def recording_of(sentence: str, folder: Path) -> Path:
    """Return the file that a sentence is spoken from."""
    return folder / ("-".join(re.findall(r"[a-z0-9]+", sentence.lower())) + ".wav")
