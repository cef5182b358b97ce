"""Who calls the agents: a process of people who do what `e2e.livekit_ways.calls` says, and tell what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from livekit import rtc

from e2e.caller_process import Caller, Callers, Track, main
from e2e.livekit_ways.paid import SAID
from e2e.pcm import tone

QUIET = 0.8
"""How many seconds of silence end an answer."""
LIMIT = 40.0


class Person(Caller):
    """Somebody in the room, who keeps what happens there instead of telling it at once."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.seen: list[dict[str, Any]] = []
        self._heard_until = 0.0
        self._changed = asyncio.Event()

    def _tell(self, event: str, **values: Any) -> None:
        self.seen.append({"event": event, **values})
        self._changed.set()

    async def _listen(self, remote: rtc.RemoteAudioTrack, track: Track) -> None:
        """Listen to agents alone, not to other people."""
        speaker = self.room.remote_participants[track.identity]
        if speaker.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            await super()._listen(remote, track)

    async def hear(self) -> None:
        """Wait for what the agent says next, and for its end."""
        heard = await self.wait_for_answer(self._heard_until, QUIET, LIMIT)
        if heard is None:
            raise TimeoutError(f"{self.name} heard nothing in {LIMIT:g} s; there was {self.seen}")
        self._heard_until = heard["ended"]

    async def say(self, sentence: str) -> None:
        """Say a sentence, as the tone that the agents know."""
        await self.microphone.say(tone(SAID[sentence], 0.8))

    async def chat(self, text: str) -> None:
        """Write to the agent."""
        await self.room.local_participant.send_text(text, topic="lk.chat")

    async def wait_for(self, event: str, **values: Any) -> dict[str, Any]:
        """Return the first event of a kind with these values, past or to come."""
        return await self._wait(lambda one: one["event"] == event and values.items() <= one.items())

    async def wait_until_heard(self) -> None:
        """Wait until the agent listens."""
        await self.read_attribute("lk.agent.state", "listening")

    async def read_attribute(self, name: str, value: str) -> None:
        """Wait until somebody else has an attribute with this value."""
        await self._wait(lambda one: (one.get("attributes") or {}).get(name) == value)

    async def _wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT):
            while True:
                self._changed.clear()
                for one in self.seen:
                    if wanted(one):
                        return one
                await self._changed.wait()

    async def agent(self) -> str:
        """Return the agent's identity as soon as it is there."""
        return str((await self.wait_for("participant_connected", kind="AGENT"))["identity"])

    async def ask(self, method: str, payload: str = "") -> str:
        """Call a method of the agent's."""
        return await self.room.local_participant.perform_rpc(
            destination_identity=await self.agent(), method=method, payload=payload, response_timeout=LIMIT
        )


class Conversation:
    """One call: its people, and what they found out besides what each of them saw.

    Args:
        url: Address of the LiveKit server.
        tokens: The token of each person.
    """

    def __init__(self, url: str, tokens: Mapping[str, str]) -> None:
        self.people: dict[str, Person] = {}
        self.found: list[str] = []
        self._url = url
        self._tokens = tokens

    async def join(self, name: str, *, speaks: bool = True, subscribes: bool = True) -> Person:
        """Let somebody join."""
        person = self.people[name] = Person(name)
        await person.join(self._url, self._tokens[name], speaks=speaks, subscribes=subscribes)
        return person


class People(Callers):
    """All of them."""

    async def do_hold(self, command: dict[str, Any]) -> dict[str, Any]:
        """Hold the call of one way; answer what was found, seen and heard."""
        from e2e.livekit_ways import calls

        conversation = Conversation(command["url"], command["tokens"])
        began = time.time()
        try:
            async with asyncio.timeout(90):
                await getattr(calls, command["way"])(conversation)
        except (rtc.RpcError, TimeoutError, AssertionError) as error:
            seen = [person.seen for person in conversation.people.values()]
            raise RuntimeError(f"{command['way']}: {error!r} after {time.time() - began:.1f} s; {seen}") from error
        finally:
            seen_before = {name: list(person.seen) for name, person in conversation.people.items()}
            for person in conversation.people.values():
                await person.leave()
        folder = Path(command["folder"])
        heard = {name: person.save(folder) for name, person in conversation.people.items()}
        return {"found": conversation.found, "seen": seen_before, "heard": heard}


if __name__ == "__main__":
    asyncio.run(main(People()))
