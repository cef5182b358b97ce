"""What the plugins openrtc-recorder and openrtc-redact keep of spoken calls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from e2e.agent_packages import ANSWER_SECONDS, CAST_AGENTS, HELLO, TAPED_AGENTS, VOICE_HZ, WHERE
from e2e.agent_packages import TONES as CAST_TONES
from e2e.callers import Answer, Caller, CallersProcess
from e2e.energy import find_sounds
from e2e.pcm import Pcm, resample, seconds_of, tone
from e2e.server_api import ServerApi
from e2e.tones import Heard, tones_heard, who_was_heard
from e2e.worker import WorkerProcess

CALLER, AGENT = 0, 1
TONES = {"agent": VOICE_HZ, "hello": HELLO, "where": WHERE}
SENTENCE = "one two three four five six seven eight nine ten"
"""A tone of one second."""
PRECISE = 0.7
"""Seconds: what a busy machine adds on the way from the caller to the agent and back."""


def read(path: Path, side: int) -> Pcm:
    """Return one side of a recording."""
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]
        rate = file.streams.audio[0].rate
    return resample((np.concatenate(frames, axis=1)[side] * 32767).astype(np.int16), rate)


def hear(path: Path, side: int) -> list[Heard]:
    """Return who is on one side of a recording, and when; a tone that breaks off for a moment is one."""
    heard: list[Heard] = []
    for span in tones_heard(read(path, side), TONES):
        if heard and heard[-1].who == span.who and span.start - heard[-1].end < PRECISE:
            heard[-1] = Heard(span.who, heard[-1].start, span.end)
        elif span.who != "?":
            heard.append(span)
    return heard


def wait_for_recordings(worker: WorkerProcess, room: str, count: int = 1) -> list[Path]:
    """Wait until a call is recorded, and return into which files."""
    until = time.monotonic() + 60.0
    while True:
        lines = [record["message"] for record in worker.records("is recorded: ") if record.get("room") == room]
        if len(lines) >= count:
            return [Path(line.partition("is recorded: ")[2]) for line in lines]
        assert time.monotonic() < until, worker.tail()
        time.sleep(0.1)


def wait_until_agent_answers(caller: Caller, question: Answer) -> float:
    """Return when the agent began to answer what the caller has said."""
    until = time.monotonic() + 20.0
    while time.monotonic() < until:
        for recording in caller.recordings():
            if began := recording.first_sound_after(question.ended):
                return began
        time.sleep(0.1)
    raise AssertionError("no answer")


@pytest.mark.realtime
def test_calls_are_recorded_once_their_agents_have_said_so_and_their_words_are_redacted(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    for package in (TAPED_AGENTS, CAST_AGENTS):
        installed = package.install_into(tmp_path / "packages")
    folder, events = tmp_path / "recordings", tmp_path / "events.jsonl"
    worker = start_worker(
        *("--allow", f"{TAPED_AGENTS.name},{CAST_AGENTS.name},openrtc-recorder,openrtc-redact"),
        *("--words", "redacted", "--metrics-jsonl", str(events)),
        folders=[installed],
        isolates=True,
        variables={"OPENRTC_RECORDER_FOLDER": str(folder), "OPENRTC_RECORDER_SAYS": SENTENCE},
    )

    # Two calls at once, one of them in a process of its own, beside two that cannot be recorded and a cast.
    rooms = ("processed-1", "taped-1", "voiceless-1", "typed-1", "pair-1")
    joined = [callers.join(room, api.token(room, "ann")) for room in rooms]
    pair = wait_for_recordings(worker, "pair-1", count=2)
    pair_recorded = time.time()
    processed, taped = (wait_for_recordings(worker, room)[0] for room in rooms[:2])
    for caller in joined[:2]:
        assert caller.wait_for_answer(0.0)
        (announced,) = (recording.sound for recording in caller.recordings())
        assert sum(span.seconds for span in find_sounds(announced)) == pytest.approx(1.0, abs=0.3), "one tone, once"
    hello = joined[1].say(tone(HELLO, 1.0))
    answered = wait_until_agent_answers(joined[1], hello)
    joined[0].say(tone(HELLO, 1.0))
    where = joined[1].say(tone(WHERE, 1.0))
    assert joined[0].wait_for_answer(time.time(), quiet=0.1)
    assert joined[-1].wait_for_answer(pair_recorded, quiet=0.1)
    worker.wait_for_log(r"call \S+ is not recorded: its agent cannot say so: trying to generate speech from text")
    worker.wait_for_log(r"call \S+ is not recorded: it has no audio")
    time.sleep(1.0)
    for caller in joined:
        caller.leave()
    worker.stop()
    api.delete_all_rooms()

    assert hear(processed, CALLER)[0].who == "hello" and hear(processed, AGENT)[0].who == "agent"
    first, second = hear(taped, CALLER)
    assert (first.who, second.who) == ("hello", "where")
    assert second.start - first.start == pytest.approx(where.began - hello.began, abs=PRECISE)
    answer = hear(taped, AGENT)[0]
    assert answer.who == "agent" and answer.start > first.end, "its announcement is not in it"
    assert answer.start - first.start == pytest.approx(answered - hello.began, abs=PRECISE)
    assert second.start - PRECISE < answer.end < second.end + PRECISE, "it was interrupted"
    assert answer.end - answer.start < ANSWER_SECONDS - 1.0

    assert sorted(path.suffixes for path in pair) == [[".dispatcher", ".ogg"], [".driver", ".ogg"]]
    for path, voice in zip(sorted(pair), ("Tim", "Chris"), strict=True):
        assert who_was_heard(read(path, AGENT), CAST_TONES) - {"?"} <= {voice}
    assert {path.name for path in folder.iterdir()} == {path.name for path in (processed, taped, *pair)}
    assert seconds_of(read(taped, CALLER)) > 5.0

    written = [json.loads(line) for line in events.read_text().splitlines()]
    turns = [
        event for event in written if event["event"] == "turn_completed" and event["agent"] in ("taped", "processed")
    ]
    assert {turn["heard"] for turn in turns} >= {"write to [e-mail]", "my card is [card]"}
    assert any(turn["said"].startswith("[e-mail] word word") for turn in turns)
    text = events.read_text() + worker.log()
    assert "example" not in text and "4111 1111" not in text
