"""The packages of agents that are modules of the tests, and what their callers know.

They are apart from the agents, since livekit-agents takes a second of a processor to import: whatever runs tests
imports this, and only workers import those.
"""

from __future__ import annotations

from e2e.packages import Package

ROLES = {"Tim": "dispatcher", "Chris": "driver", "Pat": "porter"}
TONES = {"Tim": 440.0, "Chris": 700.0, "Pat": 1100.0}
CAST_AGENTS = Package(
    name="cast-agents",
    agents={
        name: f"e2e.cast_agents:{name}"
        for name in (
            *("pair", "lively", "alone", "quiet", "trio", "strict", "slow", "faulty", "voices", "never"),
            *("faultyear", "brokenear", "onlyear"),
        )
    }
    | {"tim": "e2e.cast_agents:TIM", "chris": "e2e.cast_agents:CHRIS"},
    plugins={"both": "e2e.cast_agents"},
)
APART = Package(name="apart-agents", agents={"apart": "e2e.cast_agents:apart"})
"""A cast in a process of its own: every worker with it keeps one ready."""

REALTIME_AGENTS = Package(
    name="realtime-agents",
    agents={name: f"e2e.realtime_agents:{name}" for name in ("rtalone", "rtaudio", "rtgives")},
)

WORDS = " ".join(f"word{number}" for number in range(100))
"""What is said in 30 s."""
CHIRP_AGENTS = Package(
    name="chirp-agents",
    agents={
        name: f"e2e.chirp_agents:{name}"
        for name in ("steady", "interrupted", "paused", "recorded", "sentence", "goodbye", "blocker", "alarmed")
    },
)

VOICE_HZ = 440.0
ANSWER_SECONDS = 5.0
HELLO, WHERE = 1500.0, 2000.0
TAPED_AGENTS = Package(
    name="taped-agents",
    agents={name: f"e2e.taped_agents:{name}" for name in ("taped", "processed", "typed", "voiceless")},
)

QUESTION_HZ = 1500.0
QUESTION = "which version are you"
