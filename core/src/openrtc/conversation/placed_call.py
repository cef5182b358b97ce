"""`PlacedCall`: a caller in this process calls an agent through a room of a LiveKit server, whoever runs the agent."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from livekit import rtc

from openrtc.conversation.lines import Line
from openrtc.conversation.room_caller import RoomCaller
from openrtc.conversation.sound import length
from openrtc.conversation.transcript import Transcript
from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.dispatches import create_dispatch, list_dispatches, room_exists
from openrtc.dispatch.tokens import create_token
from openrtc.dispatch.waiting import DispatchLost
from openrtc.dispatch.why_lost import why_lost
from openrtc.dispatch.wish import AgentWish
from openrtc.errors import OpenRTCError, one_line

QUIET = 1.0
"""For how many seconds nobody must speak before it is the caller's turn."""

GREETING_LIMIT = 20.0
_CUT_OFF = 10.0
_STEP = 0.02
_STATE = "lk.agent.state"
_BUSY = ("initializing", "thinking", "speaking")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenTurn:
    """One thing that the caller said, and what came of it.

    Args:
        asked: What the caller said.
        heard: What the agent's speech recognition made of it; empty where it does not tell.
        said: The agent's answer, as it was written.
        latency: Seconds from the end of the caller's speech to the agent's first sound; None where there was none.
    """

    asked: str
    heard: str
    said: str
    latency: float | None


class PlacedCall:
    """A call to an agent.

    Args:
        connection: The LiveKit server, and the name of its workers.
        room: Name of the room, which is made when it does not exist.
        wish: Which agent is called.
    """

    def __init__(self, connection: LiveKitConnection, room: str, wish: AgentWish) -> None:
        self._connection = connection
        self._wish = wish
        self._began = 0.0
        self._events: dict[str, list[float]] = {"reached": [], "heard": [], "spoken": []}
        self._caller = RoomCaller(lambda event, at: self._events[event].append(at))
        self._transcript = Transcript(self._caller.room)
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
        return first.attributes.get("lk.agent.name") or first.name or first.identity

    async def connect(self, seconds: float) -> float:
        """Join the room and wait until an agent is to be heard there; return how long that took.

        Args:
            seconds: How long to wait.

        Raises:
            DispatchLost: Nobody answers; the message tells why, as far as that can be known from here.
            OpenRTCError: The room cannot be joined.
        """
        self._began = time.monotonic()
        try:
            await self._join()
        except rtc.ConnectError as error:
            where = self._connection.address
            fix = "is the LiveKit server running, and are the key and the secret its own?"
            raise OpenRTCError(f"cannot join a room at {where}: {one_line(str(error))}", fix=fix) from error
        await self._until(lambda: bool(self._events["reached"]), seconds)
        if not self._events["reached"]:
            raise await self._nobody(seconds)
        return self._events["reached"][0] - self._began

    async def greeting(self) -> str:
        """Wait until the agent has said what it says by itself, and return it."""
        await self._until(self._is_quiet, GREETING_LIMIT)
        return self._transcript.by_others(self.identity)

    async def say(self, line: Line, seconds: float) -> SpokenTurn:
        """Say something and listen to the answer.

        Args:
            line: What to say.
            seconds: How long to wait for the beginning of the answer.

        Raises:
            OpenRTCError: The connection to the server is gone.
        """
        mark, said_before = self._transcript.mark, len(self._events["spoken"])
        self._caller.say(line.pcm)
        await self._until(lambda: len(self._events["spoken"]) > said_before, length(line.pcm) + _CUT_OFF)
        if len(self._events["spoken"]) == said_before:
            raise OpenRTCError(f"the call was cut off: the connection to {self._connection.address} is gone")
        ended = self._events["spoken"][-1]
        await self._until(lambda: self._answered_at(ended) is not None or not self.agents, seconds)
        answered = self._answered_at(ended)
        if answered is not None:
            await self._until(self._is_quiet, 60.0)
        return SpokenTurn(
            asked=line.text,
            heard=self._transcript.by(self.identity, since=mark),
            said=self._transcript.by_others(self.identity, since=mark),
            latency=None if answered is None else answered - ended,
        )

    async def hang_up(self) -> None:
        """Leave the room; the agent's session ends with that."""
        await self._caller.leave()

    async def _join(self) -> None:
        exists = await room_exists(self.room, connection=self._connection)
        agents = [] if exists else [self._wish]
        token = create_token(self.identity, self.room, name="Caller", agents=agents, connection=self._connection)
        await self._caller.join(self._connection.url, token)
        if exists:  # then LiveKit passes over a token's agents
            await create_dispatch(
                self.room,
                self._wish.agent,
                metadata=self._wish.metadata,
                attributes=self._wish.attributes,
                connection=self._connection,
            )

    async def _nobody(self, seconds: float) -> OpenRTCError:
        if self.agents:
            return DispatchLost(
                f"{self.agent} is in room {self.room!r}, but has no audio after {seconds:g} s",
                fix="look into its worker's log",
            )
        found = await list_dispatches(self.room, connection=self._connection)
        if not found:
            return DispatchLost(f"room {self.room!r} has no dispatch", fix="has somebody deleted it?")
        message, fix = await asyncio.to_thread(why_lost, found[-1], self._connection, seconds)
        return DispatchLost(f"nobody answers: {message}", fix=fix)

    def _answered_at(self, moment: float) -> float | None:
        return next((at for at in self._events["heard"] if at >= moment), None)

    def _is_quiet(self) -> bool:
        if any(agent.attributes.get(_STATE) in _BUSY for agent in self.agents):
            return False
        since = max(self._caller.last_sound, *self._events["reached"], *self._events["spoken"])
        return time.monotonic() - since >= QUIET

    async def _until(self, happened: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not happened() and time.monotonic() < deadline:  # noqa: ASYNC110 - the latency is not taken here
            await asyncio.sleep(_STEP)
