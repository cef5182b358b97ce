"""One room with a cast and one person: what the person does, and what is heard of each member."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from e2e.agent_packages import TONES
from e2e.callers import Answer, Caller, CallersProcess
from e2e.pcm import RATE, tone
from e2e.server_api import ServerApi
from e2e.tones import tones_heard
from e2e.worker import WorkerProcess

ROLE = "openrtc.role"
HELLO, DRIVER_WHERE, PORTER_PLEASE = 1500.0, 2000.0, 2600.0
"""Tones that stand for what a person says."""
HITCH_SECONDS = 0.8
"""A shorter silence within what one member says is the machine's: members that take turns alternate."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What was heard without a break.

    Args:
        who: Whose tone it was.
        identity: The participant that it came from.
        began: When it began, by the wall clock.
        ended: When it ended.
    """

    who: str
    identity: str
    began: float
    ended: float


class NewCastRoom(Protocol):
    """Makes a room whose name begins with the cast that it gets, with a person in it."""

    def __call__(self, room: str, *, speaks: bool = True) -> CastRoom:
        """Return it; without ``speaks``, the person has no microphone."""


class CastRoom:
    """One room with a cast and one person.

    Args:
        api: The server.
        callers: The process that plays the person.
        room: Name of the room, which chooses the cast.
        speaks: Whether the person has a microphone.
    """

    def __init__(self, api: ServerApi, callers: CallersProcess, room: str, *, speaks: bool = True) -> None:
        self.api = api
        self.room = room
        self._callers = callers
        self.person: Caller = callers.join(f"ann-{room}", api.token(room, "ann"), speaks=speaks)
        self._windows: dict[str, list[str | None]] = {}

    def speeches(self, apart: float = 0.0) -> list[Speech]:
        """Return what was heard of the members so far, in its order.

        Args:
            apart: What was said before and after this time is not one speech, however short the silence.
        """
        found = [
            Speech(
                heard.who,
                recording.identity,
                recording.time_of(round(heard.start * RATE)),
                recording.time_of(round(heard.end * RATE)),
            )
            for recording in self.person.recordings()
            for heard in tones_heard(recording.sound, TONES, known=self._windows.setdefault(recording.sid, []))
            if heard.who in TONES  # what is sent in the place of a lost packet has no tone
        ]
        return _without_hitches(sorted(found, key=lambda speech: speech.began), apart)

    def spoken(self, since: float = 0.0) -> list[str]:
        """Return who has spoken after a time, in their order."""
        return [speech.who for speech in self.speeches() if speech.ended > since]

    def wait_for(self, *names: str, since: float = 0.0, timeout: float = 15.0) -> list[Speech]:
        """Wait until these have spoken after a time, in this order, and fell silent; return all that was heard."""

        def done() -> bool:
            speeches = [speech for speech in self.speeches(since) if speech.began > since]
            heard = [speech.who for speech in speeches]
            return heard[: len(names)] == list(names) and speeches[len(names) - 1].ended < time.time() - 0.3

        self.wait_until(done, timeout, lambda: f"wanted {names}, heard {self.spoken(since)}")
        return [speech for speech in self.speeches(since) if speech.began > since]

    def wait_until(self, done: Callable[[], Any], timeout: float = 15.0, said: Callable[[], str] = str) -> None:
        """Wait until something is true.

        Raises:
            AssertionError: It has not become true in time.
        """
        until = time.time() + timeout
        while not done():
            assert time.time() < until, said()
            time.sleep(0.3)

    def type(self, text: str) -> float:
        """Type something; return when."""
        self._callers.command("send_text", caller=self.person.name, text=text).result(10)
        return time.time()

    def say(self, frequency: float, seconds: float = 0.6) -> Answer:
        """Say what a tone stands for."""
        return self.person.say(tone(frequency, seconds))

    def written(self, identity: str) -> list[dict[str, Any]]:
        """Return the transcripts of a participant."""
        return [event for event in self.person.events("transcription") if event["identity"] == identity]

    def words(self) -> list[str]:
        """Return all that the members have said, as it was written."""
        return [event["text"] for event in self.person.events("transcription") if event["identity"] != "ann"]

    def wait_for_words(self, said: str) -> None:
        """Wait until a member has said something that contains these words."""
        self.wait_until(lambda: any(said in words for words in self.words()), said=lambda: str(self.words()))

    def members(self) -> dict[str, str]:
        """Return identity and name of the agents that are in the room."""
        return {one.identity: one.name for one in self.api.participants(self.room) if one.identity != "ann"}

    def roles(self) -> list[str]:
        """Return the roles of the members that take part, as their attributes say."""
        return sorted(filter(None, (one.attributes.get(ROLE) for one in self.api.participants(self.room))))

    def identity(self, role: str) -> str:
        """Return the identity of the member with a role."""
        return next(identity for identity in self.members() if identity.startswith(f"{role}-"))

    def gets_track_of(self, role: str) -> float:
        """Return since when the person gets a member's sound: the member may have begun before, unheard."""
        tracks = self.person.events("track_subscribed")
        return next(float(one["at"]) for one in tracks if one["identity"].startswith(role))

    def close(self) -> None:
        """Let the person leave."""
        self.person.leave()


def leave_and_wait_for_end(room: CastRoom, worker: WorkerProcess) -> None:
    """Let the person leave, and see that all members do, and that the call ends."""
    room.close()
    room.wait_until(lambda: not room.api.agents_in([room.room])[room.room], 5.0)
    room.wait_until(lambda: events_of(worker, room.room, "call_ended"))


def _without_hitches(speeches: list[Speech], apart: float) -> list[Speech]:
    whole: list[Speech] = []
    for speech in speeches:
        last = whole[-1] if whole else None
        goes_on = last and last.who == speech.who and speech.began - last.ended < HITCH_SECONDS
        if last and goes_on and not last.ended <= apart <= speech.began:
            whole[-1] = replace(last, ended=speech.ended)
        else:
            whole.append(speech)
    return whole


def overlap(speeches: list[Speech]) -> float:
    """Return the longest time for which two members were heard at once."""
    pairs = [(a, b) for a in speeches for b in speeches if a.identity < b.identity]
    return max((min(a.ended, b.ended) - max(a.began, b.began) for a, b in pairs), default=0.0)


def events_of(worker: WorkerProcess, room: str, kind: str) -> list[dict[str, Any]]:
    """Return the events of a kind that a worker has emitted for a room."""
    lines = (worker.log_path.parent / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event.get("room") == room and event["event"] == kind]
