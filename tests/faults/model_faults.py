"""A model's plugin fails in its first turn and works from the second on."""

from __future__ import annotations

import time
from functools import partial

from e2e.callers import Caller
from faults.failing_models import CALL, faults_of
from faults.stage import Fault, Injection

LOST = {
    "llm": "that turn; the next one is answered",
    "tts": "that turn's voice; the next one is heard",
    "stt": "what the caller says aloud from then on; the agent goes on to speak",
}
SILENT = {"llm": ("empty",), "tts": (), "stt": ("hangs", "empty")}
"""Faults without a log line: they look like a model that has nothing to say, or a caller who is silent."""
TOLD = "failing|Error in|failed|a task raised|unknown data type|unexpected type"


def fail_once(fault: Fault, kind: str, what: str) -> None:
    """Let a model fail in the first turn of a call, and look at the second."""
    caller = fault.call(f"{kind}-{what}")
    caller.wait_for("track_subscribed")
    if what not in SILENT[kind]:
        fault.wait_for_report("has been silent for 10 s" if what == "hangs" else rf"{TOLD}|{kind}", 20.0)
    if kind == "stt":
        assert caller.wait_for_answer(0.0, quiet=0.3), "the agent speaks"
    else:
        assert is_answered(caller), "the next turn is answered"


FAULTS = {
    f"{kind}-{what}": Injection(f"{kind.upper()} {name}", LOST[kind], partial(fail_once, kind=kind, what=what))
    for kind in CALL
    for what, name in faults_of(kind).items()
}


def is_answered(caller: Caller) -> bool:
    """Whether a turn is answered; the first words may come while the agent still speaks."""
    for _ in range(3):
        asked = time.time()
        caller.send_text("again")
        if caller.wait_for_answer(asked, quiet=0.3, timeout=4.0):
            return True
    return False
