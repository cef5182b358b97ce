"""Who may look into a session, and steer it, by LiveKit's session stream.

Whoever sends a request on the topic ``lk.agent.session`` gets the agent's instructions, mutes it or puts words into the
conversation, and each event of the session goes to everybody in the room. Here, requests are answered and events sent
only where a participant's token grants LiveKit's own ``can_manage_agent_session``; a caller may be allowed to write
attributes, so that these grant nothing.

A hidden participant is in nobody's list but the server's, and what it sends comes without an identity (livekit-server
1.13.5). It is answered only where each hidden participant in the room has the grant, and then all of them are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, utils
from livekit.agents.llm import ChatItem
from livekit.agents.voice.remote_session import (  # type: ignore[attr-defined]  # it uses encode_chat_item, and does not list it
    TOPIC_SESSION_MESSAGES,
    SessionHost,
    SessionTransport,
    encode_chat_item,
)
from livekit.protocol.agent_pb import agent_session as proto

from openrtc.dispatch.room_participants import list_participants
from openrtc.errors import OpenRTCError, one_line, summarize_error
from openrtc.settings.config import WorkerSettings
from openrtc.upstream.session_hosts import note_host

logger = logging.getLogger("openrtc.worker")

LARGEST_REQUEST = 256 * 1024
"""Bytes; a longer one is not read to its end."""

NAMED_SECONDS = 10.0
"""For how long events are sent to those whom only the server has named."""

NO_GRANT = "this participant may not manage the agent's session: its token lacks the grant can_manage_agent_session"
AnswerInput = Callable[[str, str], Awaitable[Sequence[ChatItem]]]
"""Answers a text that somebody, who is named, has typed; returns what comes of it."""

OFF = "this worker lets nobody manage its sessions"


class OperatorTransport(SessionTransport):
    """The session stream of a room, for operators only.

    Args:
        room: The room.
        worker: Where the LiveKit server is.
        on_operator: Called when there is the first operator.
        answer_input: Answers what an operator types into the session (``run_input``) where the session itself must not.
    """

    def __init__(
        self,
        room: rtc.Room,
        worker: WorkerSettings,
        *,
        on_operator: Callable[[], object],
        answer_input: AnswerInput | None = None,
    ) -> None:
        self._room = room
        self._worker = worker
        self._nobody = worker.session_host == "off" or worker.profile == "lean"
        self._everybody = worker.session_host == "all" and not self._nobody
        self._answer_input = answer_input
        self._answering: set[asyncio.Task[None]] = set()
        self._on_operator = on_operator
        self._requests = utils.aio.Chan[proto.AgentSessionMessage]()
        self._asked: dict[str, deque[tuple[str, ...]]] = {}
        self._named: tuple[str, ...] = ()
        self._named_at = -NAMED_SECONDS
        self._told: set[str] = set()
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()
        self._open = False

    async def start(self) -> None:
        """Take requests from now on."""
        if not self._open:
            self._room.register_byte_stream_handler(TOPIC_SESSION_MESSAGES, self._on_stream)
            self._open = True
            self._room.on("participant_connected", self._look_at)
            self._room.on("participant_permissions_changed", self._look_at)
            for participant in self._room.remote_participants.values():
                self._look_at(participant)

    async def close(self) -> None:
        """Take no more requests."""
        if self._open:
            self._open = False
            self._room.unregister_byte_stream_handler(TOPIC_SESSION_MESSAGES)
            self._room.off("participant_connected", self._look_at)
            self._room.off("participant_permissions_changed", self._look_at)
            await utils.aio.cancel_and_wait(*self._reading.values(), *self._answering)
        self._requests.close()

    async def send_message(self, msg: proto.AgentSessionMessage) -> None:
        """Send an answer to whoever has asked, or an event to all operators; where there is none, nothing."""
        if msg.HasField("response"):
            asked = self._asked.get(msg.response.request_id)
            to = asked.popleft() if asked else ()
            if not asked:
                self._asked.pop(msg.response.request_id, None)
        else:
            to = self._list_operators()
        await self._send(msg, to)

    def __aiter__(self) -> AsyncIterator[proto.AgentSessionMessage]:
        return self._requests.__aiter__()

    async def __anext__(self) -> proto.AgentSessionMessage:
        return await self._requests.__anext__()

    def _look_at(self, participant: rtc.RemoteParticipant) -> None:
        if not self._nobody and self._may_manage(participant):
            self._on_operator()

    def _on_stream(self, reader: rtc.ByteStreamReader, identity: str) -> None:
        before = self._reading.get(identity)
        task = self._reading[identity] = asyncio.create_task(
            self._take(reader, identity, before), name="session-request"
        )
        task.add_done_callback(lambda _: self._forget(identity, task))

    def _forget(self, identity: str, task: asyncio.Task[None]) -> None:
        if self._reading.get(identity) is task:
            del self._reading[identity]

    async def _take(self, reader: rtc.ByteStreamReader, identity: str, before: asyncio.Task[None] | None) -> None:
        message = await self._read(reader, identity)
        if before is not None:  # requests of one participant stay in their order
            await asyncio.wait([before])
        if message is None or not message.HasField("request"):
            return
        to, refused = await self._judge(identity)
        if refused:
            await self._refuse(message.request, identity, to, refused)
        elif self._open:
            self._on_operator()
            if self._answer_input is not None and message.request.HasField("run_input"):
                # Not in this task, for whose end the participant's next request waits.
                answering = asyncio.create_task(
                    self._answer(message.request, identity, to, self._answer_input), name="answer-input"
                )
                self._answering.add(answering)
                answering.add_done_callback(self._answering.discard)
                return
            self._asked.setdefault(message.request.request_id, deque()).append(to)
            self._requests.send_nowait(message)

    async def _read(self, reader: rtc.ByteStreamReader, identity: str) -> proto.AgentSessionMessage | None:
        data = bytearray()
        async for chunk in reader:
            data += chunk
            if len(data) > LARGEST_REQUEST:
                logger.info("room %r: %r sends a request of too many bytes to the session", self._room.name, identity)
                return None
        message = proto.AgentSessionMessage()
        try:
            message.ParseFromString(bytes(data))
        except Exception as error:  # protobuf has errors of its own
            logger.debug("%r has sent what is no request: %s", identity, summarize_error(error))
            return None
        return message

    async def _answer(
        self, request: proto.SessionRequest, identity: str, to: tuple[str, ...], answer_input: AnswerInput
    ) -> None:
        response = proto.SessionResponse(request_id=request.request_id)
        response.run_input.SetInParent()
        try:
            text = request.run_input.text.strip()
            if not text:
                raise OpenRTCError("there is no text in it")
            response.run_input.items.extend(map(encode_chat_item, await answer_input(text, self._name_of(identity))))
        except OpenRTCError as error:
            response.error = one_line(error.message)
        except Exception as error:  # whatever keeps the agent from answering
            response.error = summarize_error(error)
        await self._send(proto.AgentSessionMessage(response=response), to)

    def _name_of(self, identity: str) -> str:
        participant = self._room.remote_participants.get(identity)
        return (participant.name if participant else "") or identity

    async def _judge(self, identity: str) -> tuple[tuple[str, ...], str]:
        """Return to whom a request is answered, and why it is refused; empty where it is not."""
        asking: tuple[str, ...]
        if (participant := self._room.remote_participants.get(identity)) is not None:
            asking, may = (identity,), self._may_manage(participant)
        else:
            # The server tells others up to 3 s late of who publishes nothing; without its list, nobody is answered.
            there = await list_participants(self._room.name, self._worker)
            found = [one for one in there if (one.identity == identity if identity else one.permission.hidden)]
            asking = tuple(one.identity for one in found)
            may = bool(found) and (self._everybody or all(one.permission.can_manage_agent_session for one in found))
            if may and not self._nobody:
                self._named, self._named_at = asking, time.monotonic()
        return asking, OFF if self._nobody else "" if may else NO_GRANT

    async def _refuse(self, request: proto.SessionRequest, identity: str, to: tuple[str, ...], why: str) -> None:
        who = identity or "a hidden participant"
        if who not in self._told:
            self._told.add(who)
            what = request.WhichOneof("request") or "something unknown"
            logger.info("room %r: %s asks the session for %s, and is refused: %s", self._room.name, who, what, why)
        answer = proto.SessionResponse(request_id=request.request_id, error=why)
        await self._send(proto.AgentSessionMessage(response=answer), to)

    def _list_operators(self) -> tuple[str, ...]:
        there = self._room.remote_participants
        seen = [one.identity for one in there.values() if self._may_manage(one)]
        named = self._named if time.monotonic() - self._named_at < NAMED_SECONDS else ()
        return (*seen, *(one for one in named if one not in there))

    async def _send(self, message: proto.AgentSessionMessage, to: Sequence[str]) -> None:
        if not to or not self._room.isconnected():  # to nobody named is to everybody
            return
        data = message.SerializeToString()
        async with self._sending:
            try:
                await self._room.local_participant.send_bytes(
                    data,
                    name=utils.shortuuid("AS_"),
                    topic=TOPIC_SESSION_MESSAGES,
                    destination_identities=list(to),
                )
            except Exception as error:  # whoever it was for has left, or the room is being left
                logger.debug("the session stream does not reach %s: %s", to, one_line(str(error)))

    def _may_manage(self, participant: rtc.RemoteParticipant) -> bool:
        # Not an agent's fellow members, who would get each of its events.
        anybody = self._everybody and participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        return anybody or bool(participant.permissions.can_manage_agent_session)


class SessionDoor:
    """Lets a session be looked into, and steered, by those whom the setting ``session_host`` names.

    Args:
        session: A session, before it starts.
        room: Its room.
        worker: The settings.
        answer_input: Answers what an operator types into the session, where the session itself must not: in a cast.
    """

    def __init__(
        self,
        session: AgentSession[Any],
        room: rtc.Room,
        worker: WorkerSettings,
        answer_input: AnswerInput | None = None,
    ) -> None:
        self._session = session
        self._room = room
        self._worker = worker
        self._answer_input = answer_input
        self._closing: asyncio.Task[None] | None = None

    @property
    def start_options(self) -> dict[str, Any]:
        """The arguments of ``AgentSession.start`` for it: livekit-agents lets everybody in."""
        by_livekit = self._worker.session_host == "all" and self._worker.profile != "lean" and not self._answer_input
        return {} if by_livekit else {"session_host": False}

    async def open(self) -> None:
        """Take requests, now that the session has started."""
        if not self.start_options:
            return

        def note_operator() -> None:
            host.register_session(self._session)  # until then no event is written down: nobody would get it

        transport = OperatorTransport(
            self._room, self._worker, on_operator=note_operator, answer_input=self._answer_input
        )
        host = SessionHost(transport)
        try:
            await host.start()
        except ValueError as error:  # the package takes that topic itself, or another session of the call has it
            logger.debug("room %r: the session cannot be managed: %s", self._room.name, one_line(str(error)))
            return
        note_host(self._session, host)
        self._session.on("close", lambda _: self._close(host))

    def _close(self, host: SessionHost) -> None:
        self._closing = asyncio.create_task(host.aclose(), name="close-session-host")
