"""What an agent says is seconds ahead of the loop, and each pause, interruption and good-bye is where it was heard."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from e2e.agent_packages import CHIRP_AGENTS, WORDS
from e2e.callers import Caller, CallersProcess
from e2e.chirps import HeardChirp
from e2e.pcm import RATE, resample, tone
from e2e.recording import Recording
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK, openrtc_worker
from openrtc.server import LocalServer

pytestmark = pytest.mark.realtime

NEAR = 0.25
"""Seconds by which a busy machine, the network and windows of 40 ms may shift what is heard."""
AT_ONCE = 0.5
"""Seconds within which a busy machine lets a caller hear what is interrupted no more: three are ahead of the loop."""
LATE = 1.0
"""Seconds by which a busy machine may hear all of it later."""
HOLE = 0.3
WORDS_A_SECOND = len(WORDS.split()) / 30


class Calls:
    """One worker with calls whose agents chirp, each in a room of the agent's name.

    Args:
        api: The LiveKit server.
        people: The callers' process.
        notes: What the agents note.
    """

    def __init__(self, api: ServerApi, people: CallersProcess, notes: Path) -> None:
        self._api = api
        self._people = people
        self._notes = notes
        self.callers: dict[str, Caller] = {}

    def call(self, agent: str, *, speaks: bool = False) -> Caller:
        """Let a caller join the room of an agent."""
        self.callers[agent] = self._people.join(agent, self._api.token(agent, agent), speaks=speaks)
        return self.callers[agent]

    def notes(self, agent: str, what: str) -> list[dict[str, Any]]:
        """Return what an agent has noted of one kind."""
        lines = map(json.loads, self._notes.read_text().splitlines() if self._notes.exists() else [])
        return [line for line in lines if (line["room"], line["what"]) == (agent, what)]

    def wait_for(self, agent: str, what: str, *, count: int = 1) -> dict[str, Any]:
        """Return the first note of a kind, or a later one, past or to come."""
        until = time.monotonic() + 30.0
        while len(found := self.notes(agent, what)) < count:
            assert time.monotonic() < until, f"{agent}: no note {what!r} in 30 s"
            time.sleep(0.1)
        return found[count - 1]

    def read_recording(self, agent: str) -> Recording:
        """Return what livekit-agents has recorded of an agent."""
        with av.open(f"{self._notes}.ogg") as file:
            rate = file.streams.audio[0].rate
            stereo = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
        sound = resample((stereo[1] * 32_000).astype(np.int16), rate)
        began = self.notes(agent, "recording")[0]["began"]
        return Recording(agent, "", sound, ((0, began), (len(sound), began + len(sound) / RATE)))

    def heard(self, agent: str) -> HeardChirp:
        """Return what the caller of an agent has heard so far."""
        (recording,) = self.callers[agent].recordings()
        return HeardChirp(recording)


@pytest.fixture(scope="module")
def calls(
    server: LocalServer, api: ServerApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Calls]:
    """A worker in which five agents have spoken at the same time, each of whom had something happen to it."""
    folder = tmp_path_factory.mktemp("playout")
    packages = [CHIRP_AGENTS.install_into(folder / "packages")]
    variables = {"NOTES": str(folder / "notes")}
    options = ("--allow", CHIRP_AGENTS.name)
    worker = openrtc_worker(api, folder / "worker.log", *options, folders=packages, variables=variables)
    with worker, CallersProcess(server.url, folder / "callers") as people:
        show_log_on_failure(request.node, worker)
        worker.wait_until_ready()
        made = Calls(api, people, folder / "notes")
        for agent in ("interrupted", "paused", "sentence", "goodbye"):
            made.call(agent)
        made.call("recorded")
        alarmed = made.call("alarmed", speaks=True)
        made.wait_for("alarmed", "started")
        time.sleep(2.0)
        alarmed.say(tone(500.0, 0.45))
        for agent in ("interrupted", "paused", "sentence", "goodbye"):
            made.wait_for(agent, "finished")
        made.wait_for("recorded", "recorded")
        time.sleep(1.5)
        for agent, caller in made.callers.items():
            if agent != "alarmed":  # which speaks on
                caller.leave()
        yield made
        for caller in made.callers.values():
            caller.leave()
        worker.stop()
        assert TRACEBACK not in worker.log()


def test_an_interruption_is_heard_at_once_and_told_where_it_was(calls: Calls) -> None:
    heard = calls.heard("interrupted")
    interrupted, finished = calls.wait_for("interrupted", "interrupt"), calls.wait_for("interrupted", "finished")
    assert heard.ended - interrupted["at"] <= AT_ONCE
    assert finished["interrupted"] and finished["position"] == pytest.approx(heard.last, abs=NEAR)
    said = len(calls.wait_for("interrupted", "item")["text"].split())
    # Not nearer: livekit-agents guesses how fast is spoken, and guesses too little where the machine is busy.
    assert heard.last * WORDS_A_SECOND * 0.4 <= said <= heard.last * WORDS_A_SECOND + 3


def test_a_pause_in_a_long_speech_is_heard_at_once_and_loses_nothing(calls: Calls) -> None:
    heard = calls.heard("paused")
    paused, resumed = calls.wait_for("paused", "pause"), calls.wait_for("paused", "resume")
    (hole,) = heard.holes(0.5)
    assert hole.seconds == pytest.approx(resumed["at"] - paused["at"], abs=NEAR)
    assert hole.began - paused["at"] == pytest.approx(0.1, abs=NEAR)
    assert hole.lost == pytest.approx(0.0, abs=0.1)
    assert calls.wait_for("paused", "finished")["position"] == pytest.approx(heard.last, abs=NEAR)


def test_what_livekit_agents_records_is_what_was_heard_when_it_was_heard(calls: Calls) -> None:
    heard = calls.heard("recorded")
    recorded = HeardChirp(calls.read_recording("recorded"))
    ours, theirs = heard.holes(0.5), recorded.holes(0.5)
    assert len(ours) == 2, "the pause, and between the two speeches"
    for one, other in zip(ours, theirs, strict=True):
        assert other.seconds == pytest.approx(one.seconds, abs=NEAR)
        assert other.lost == pytest.approx(one.lost, abs=NEAR)
        assert other.began == pytest.approx(one.began, abs=LATE)
    paused, resumed = calls.wait_for("recorded", "pause"), calls.wait_for("recorded", "resume")
    assert theirs[0].seconds == pytest.approx(resumed["at"] - paused["at"], abs=NEAR)
    assert theirs[0].lost == pytest.approx(0.0, abs=0.1), "of the recording, in which no network has a part"
    assert theirs[1].began - theirs[0].began == pytest.approx(ours[1].began - ours[0].began, abs=NEAR)


def test_a_sentence_that_is_all_given_ahead_can_be_paused_and_is_said_to_its_end(calls: Calls) -> None:
    heard = calls.heard("sentence")
    paused, resumed = calls.wait_for("sentence", "pause"), calls.wait_for("sentence", "resume")
    (hole,) = heard.holes(0.4)
    assert hole.seconds == pytest.approx(resumed["at"] - paused["at"], abs=NEAR)
    assert hole.lost == pytest.approx(0.0, abs=0.1)
    finished = calls.wait_for("sentence", "finished")
    assert (finished["interrupted"], finished["position"]) == (False, pytest.approx(2.5))
    assert heard.last == pytest.approx(2.5, abs=0.1)


def test_a_false_alarm_interrupts_for_a_moment_and_what_is_said_goes_on_where_it_was(calls: Calls) -> None:
    heard = calls.heard("alarmed")
    (hole,) = heard.holes(0.5)
    assert hole.lost == pytest.approx(0.0, abs=0.1)
    assert not calls.notes("alarmed", "finished")


def test_who_hangs_up_when_all_is_said_is_heard_to_the_end(calls: Calls) -> None:
    heard = calls.heard("goodbye")
    said = calls.wait_for("goodbye", "said")
    assert said["at"] - calls.wait_for("goodbye", "started")["at"] >= 3.95, "the call would be over too soon"
    assert heard.last >= 4.0 - 0.4, "with livekit-agents' own queue as well, the network takes the last 0.2 s"


def test_a_blocked_loop_is_not_heard_while_an_agent_speaks(calls: Calls) -> None:
    calls.call("steady")
    calls.wait_for("steady", "started")
    calls.call("blocker")
    began = calls.wait_for("blocker", "block")["at"]
    ended = calls.wait_for("blocker", "blocked", count=2)["at"] + 1.0
    time.sleep(2.0)
    heard = calls.heard("steady")
    assert heard.ended >= ended
    assert not [hole for hole in heard.holes(HOLE) if began <= hole.began <= ended]
