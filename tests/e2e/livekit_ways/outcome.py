"""What came of a call: what was heard, found, seen and logged, so that two of them can be compared field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from e2e.energy import find_sounds
from e2e.livekit_ways.ways import END, SPOKEN, Outcome, Way
from e2e.pcm import RATE, Pcm, tone
from e2e.recording import Recording
from e2e.tones import tones_heard, whose_tone

PAUSE = 0.6
"""Silence of so many seconds divides what was heard; words follow each other faster."""
SHORTEST = 0.15
HITCH = 0.3
"""What is sent in the place of lost packets, on a busy machine, has no tone."""


def spoken(sentence: str) -> Pcm:
    """Return how an agent says a sentence: in a tone that is of this one alone, and one for its end."""
    return np.concatenate([tone(SPOKEN[sentence], 0.7), tone(END, 0.3)])


def read_outcome(way: Way, held: Mapping[str, Any], logged: Sequence[str]) -> Outcome:
    """Return what came of a call.

    Args:
        way: The way.
        held: What the people's process answered.
        logged: What the agent's code logged.
    """
    several = len(held["seen"]) > 1
    events = [event for seen in held["seen"].values() for event in seen]
    agents = {event["identity"]: event["name"] for event in events if event.get("kind") == "AGENT"}
    heard: list[str] = []
    for person, tracks in sorted(held["heard"].items()):
        by = f"{person}: " if several else ""
        recordings = [Recording.load(track) for track in tracks if track["anchors"]]
        parts = sorted(_parts(way, recordings), key=lambda part: part[0])
        heard += [by + what for _, what in parts]
    return Outcome(
        agents=[f"{identity.partition('_')[0]}, {name or 'no name'}" for identity, name in agents.items()],
        heard=heard,
        transcripts=_transcripts(events, agents),
        found=list(held["found"]),
        attributes=_own_attributes(events, agents),
        ended=[_ended(event) for event in events if event["event"].endswith("disconnected") and not _hung_up(event)],
        logged=list(logged),
    )


def _parts(way: Way, recordings: Sequence[Recording]) -> list[tuple[float, str]]:
    parts: list[tuple[float, str]] = []
    for recording in recordings:
        for span in find_sounds(recording.sound, join=PAUSE):
            if span.seconds >= SHORTEST:
                sound = recording.sound[round(span.start * RATE) : round(span.end * RATE)]
                at = recording.time_of(round(span.start * RATE))
                parts += [(at, what) for what in _understand(way, sound)]
    return parts


def _understand(way: Way, sound: Pcm) -> list[str]:
    if way.tones and (not way.sentences or whose_tone(sound, way.tones) in way.tones):
        return _tones_in_turn(sound, way.tones)
    parts = _tones_in_turn(sound, {sentence: SPOKEN[sentence] for sentence in way.sentences} | {"": END})
    return [parts[0] if parts[1:] == [""] else "something else"]


def _tones_in_turn(sound: Pcm, tones: Mapping[str, float]) -> list[str]:
    parts = [part for part in tones_heard(sound, tones) if part.who != "?" or part.end - part.start > HITCH]
    return [who for who, _ in groupby(part.who for part in parts)]


def _transcripts(events: Sequence[Mapping[str, Any]], agents: Mapping[str, str]) -> list[str]:
    return [
        event["text"]
        for event in events
        if event["event"] == "transcription" and event["identity"] in agents and event["text"]
    ]


def _own_attributes(events: Sequence[Mapping[str, Any]], agents: Mapping[str, str]) -> dict[str, str]:
    told: dict[str, str] = {}
    for event in events:
        if event.get("identity") in agents:
            told |= event.get("attributes") or {}
    return {name: value for name, value in told.items() if not name.startswith(("lk.", "openrtc."))}


def _hung_up(event: Mapping[str, Any]) -> bool:
    return event["reason"] == "CLIENT_INITIATED" and event.get("kind") != "AGENT"


def _ended(event: Mapping[str, Any]) -> str:
    who = "a person" if event["event"] == "disconnected" else str(event["kind"]).lower()
    return f"{who}: {event['reason']}"
