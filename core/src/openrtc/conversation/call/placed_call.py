"""`PlacedCall`: a caller in this process calls an agent through a room of a LiveKit server, whoever runs the agent."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from livekit import rtc

from openrtc.conversation.call.transcript import Transcript
from openrtc.conversation.call.utterances import Utterance
from openrtc.conversation.idle import BUSY_STATES
from openrtc.conversation.room_caller import RoomCaller
from openrtc.conversation.speech import count_seconds
from openrtc.dispatch.agent_request import AgentRequest
from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.diagnosis import explain_lost_dispatch, find_failure
from openrtc.dispatch.dispatches import create_dispatch, list_dispatches, room_exists
from openrtc.dispatch.tokens import create_token
from openrtc.dispatch.waiting import DispatchLost
from openrtc.errors import OpenRTCError, one_line
from openrtc.model.dispatch_names import HANGS_UP_ATTRIBUTE, read_answering_agent

QUIET = 1.0
"""For how many seconds nobody must speak before it is the caller's turn."""

GREETING_LIMIT = 20.0
"""Seconds that an agent has for what it says by itself at the start."""

ANSWER_END_LIMIT = 60.0
"""Seconds after its first sound for which an answer is listened to."""

_CUT_OFF = 10.0
"""Seconds beyond an utterance's own after which its audio cannot have been sent: the connection is gone."""

_STEP = 0.02
"""Seconds between two looks at the call: well below the delay that a person hears."""
_STATE = "lk.agent.state"
"""Attribute of an agent's participant: the state of its session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenTurn:
    """One thing that the caller said, and what came of it.

    Args:
        asked: What the caller said.
        heard: What the agent's speech recognition made of it; empty where it does not say.
        said: The agent's answer, as it was written.
        latency: Seconds from the end of the caller's speech to the agent's first sound; None where there was none.
        left: Why there was none, where the agent has left the call meanwhile.
    """

    asked: str
    heard: str
    said: str
    latency: float | None
    left: str = ""


class PlacedCall:
    """A call to an agent.

    Args:
        connection: The LiveKit server, and the name of its workers.
        room: Name of the room, which is made when it does not exist.
        request: Which agent is called.
    """

    def __init__(self, connection: LiveKitConnection, room: str, request: AgentRequest) -> None:
        self._connection = connection
        self._request = request
        self._events: dict[str, list[float]] = {"reached": [], "heard": [], "spoken": []}
        self._caller = RoomCaller(lambda event, at: self._events[event].append(at))
        self._transcript = Transcript(self._caller.room)
        self._leavers: list[str] = []
        self._failure = ""
        self._caller.room.on("participant_disconnected", self._note_leaver)
        self.room = room
        self.identity = f"caller-{secrets.token_hex(3)}"

    @property
    def agents(self) -> list[rtc.RemoteParticipant]:
        """The agents that are in the room."""
        people = self._caller.room.remote_participants.values()
        return [one for one in people if one.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT]

    @property
    def agent(self) -> str:
        """Which agent answers: as the worker says, else the name that others see, else its identity."""
        if not self.agents:
            return ""
        first = self.agents[0]
        return read_answering_agent(first.attributes) or first.name or first.identity

    async def connect(self, seconds: float) -> float:
        """Join the room and wait until an agent is to be heard there; return how long that took.

        Args:
            seconds: How long to wait.

        Raises:
            DispatchLost: Nobody answers; the message says why, as far as that can be known from here.
            OpenRTCError: The room cannot be joined.
        """
        began = time.monotonic()
        try:
            await self._join()
        except rtc.ConnectError as error:
            where = self._connection.address
            fix = "is the LiveKit server running, and are the key and the secret its own?"
            raise OpenRTCError(f"cannot join a room at {where}: {one_line(str(error))}", fix=fix) from error
        watching = asyncio.create_task(self._watch_for_failure(), name="failure")
        try:
            await self._wait_until(lambda: bool(self._events["reached"] or self.has_left or self._failure), seconds)
        finally:
            watching.cancel()
        if not self._events["reached"]:
            raise await self._explain_silence(seconds)
        return self._events["reached"][0] - began

    @property
    def has_left(self) -> bool:
        """Whether an agent was there, and none is."""
        return bool(self._leavers) and not self.agents

    async def explain_leaving(self) -> str:
        """Return why the agent is not there any more, as far as that can be known from here."""
        self._failure = why = self._failure or await self._find_failure()
        who = self._leavers[-1] if self._leavers else self._request.agent or "the agent"
        return f"{who} has failed: {why}" if why else f"{who} has left the call"

    async def wait_for_greeting(self) -> str:
        """Wait until the agent has said what it says by itself, and return it."""
        await self._wait_until(self._is_quiet, GREETING_LIMIT)
        return self._transcript.words_of_others(self.identity)

    async def say(self, utterance: Utterance, seconds: float) -> SpokenTurn:
        """Say something and listen to the answer.

        Args:
            utterance: What to say.
            seconds: How long to wait for the beginning of the answer.

        Raises:
            OpenRTCError: The connection to the server is gone.
        """
        mark, said_before = self._transcript.mark, len(self._events["spoken"])
        self._caller.say(utterance.pcm)
        await self._wait_until(
            lambda: len(self._events["spoken"]) > said_before, count_seconds(utterance.pcm) + _CUT_OFF
        )
        if len(self._events["spoken"]) == said_before:
            raise OpenRTCError(f"the call was cut off: the connection to {self._connection.address} is gone")
        ended = self._events["spoken"][-1]
        await self._wait_until(lambda: self._find_answer_after(ended) is not None or not self.agents, seconds)
        answered = self._find_answer_after(ended)
        left = await self.explain_leaving() if answered is None and not self.agents else ""
        if answered is not None:
            await self._wait_until(self._is_quiet, ANSWER_END_LIMIT)
        return SpokenTurn(
            asked=utterance.text,
            heard=self._transcript.words_of(self.identity, since=mark),
            said=self._transcript.words_of_others(self.identity, since=mark),
            latency=None if answered is None else answered - ended,
            left=left,
        )

    async def hang_up(self) -> None:
        """Leave the room; the agent's session ends with that."""
        await self._caller.leave()

    async def _join(self) -> None:
        exists = await room_exists(self.room, connection=self._connection)
        agents = [] if exists else [self._request]
        token = create_token(
            self.identity,
            self.room,
            name="Caller",
            agents=agents,
            attributes={HANGS_UP_ATTRIBUTE: "true"},
            connection=self._connection,
        )
        await self._caller.join(self._connection.url, token)
        if exists:  # then LiveKit ignores the agents of a token
            await create_dispatch(
                self.room,
                self._request.agent,
                metadata=self._request.metadata,
                attributes=self._request.attributes,
                connection=self._connection,
            )

    def _note_leaver(self, participant: rtc.RemoteParticipant) -> None:
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            self._leavers.append(read_answering_agent(participant.attributes) or participant.name)

    async def _watch_for_failure(self) -> None:
        """Ask the workers of this machine whether the agent has failed before it came into the room."""
        while not self._failure:
            await asyncio.sleep(1.0)
            self._failure = await self._find_failure()

    async def _find_failure(self) -> str:
        return await asyncio.to_thread(find_failure, self.room, self._connection.address)

    async def _explain_silence(self, seconds: float) -> OpenRTCError:
        if self._failure or self.has_left:
            why = await self.explain_leaving()
            return DispatchLost(why, fix=None if self._failure else "look into its worker's log")
        if self.agents:
            return DispatchLost(
                f"{self.agent} is in room {self.room!r}, but has no audio after {seconds:g} s",
                fix="look into its worker's log",
            )
        found = await list_dispatches(self.room, connection=self._connection)
        if not found:
            return DispatchLost(f"room {self.room!r} has no dispatch", fix="has somebody deleted it?")
        message, fix = await asyncio.to_thread(explain_lost_dispatch, found[-1], self._connection, seconds)
        return DispatchLost(f"nobody answers: {message}", fix=fix)

    def _find_answer_after(self, moment: float) -> float | None:
        return next((at for at in self._events["heard"] if at >= moment), None)

    def _is_quiet(self) -> bool:
        if any(agent.attributes.get(_STATE) in BUSY_STATES for agent in self.agents):
            return False
        since = max(self._caller.last_sound, *self._events["reached"], *self._events["spoken"])
        return time.monotonic() - since >= QUIET

    async def _wait_until(self, happened: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not happened() and time.monotonic() < deadline:  # noqa: ASYNC110 - latencies are not measured here
            await asyncio.sleep(_STEP)
