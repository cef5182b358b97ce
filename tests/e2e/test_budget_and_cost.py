"""A spoken call ends politely when its budget is spent, and its event says what it cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from e2e.agent_packages import CAST_AGENTS
from e2e.callers import CallersProcess
from e2e.cast_room import HELLO, CastRoom, events_of
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess

USD_A_TOKEN, USD_A_CHARACTER = 1.0, 0.001
PRICES = '{"unknown/unknown": {"input": 1000000, "output": 1000000, "characters": 1000}}'


@pytest.mark.realtime
def test_a_spoken_call_ends_when_its_budget_is_spent_and_says_what_it_cost(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    folder = CAST_AGENTS.install_into(tmp_path / "packages")
    worker = start_worker(
        *("--allow", f"{CAST_AGENTS.name},openrtc-budget,openrtc-cost"),
        *("--metrics-jsonl", str(tmp_path / "events.jsonl")),
        folders=[folder],
        variables={
            "OPENRTC_COST_PRICES": PRICES,
            "OPENRTC_BUDGET_USD": "5",  # more than the greeting, less than an answer
            "OPENRTC_BUDGET_GOODBYE": "your budget is spent, good bye",
        },
    )
    room = CastRoom(api, callers, "tim-budget")
    room.wait_for_words("this is Tim at the dispatch desk")
    room.say(HELLO)
    room.wait_until(partial(events_of, worker, room.room, "call_ended"), 60.0)
    room.wait_for_words("your budget is spent, good bye")
    room.person.wait_for("disconnected")
    (ended,) = events_of(worker, room.room, "call_ended")
    assert ended["reason"] == "openrtc-budget: 5 USD are spent"
    worker.wait_for_log("agent 'tim': openrtc-budget: 5 USD are spent; this call is ended")
    tokens = sum(one.get("input_tokens", 0) + one.get("output_tokens", 0) for one in ended["usage"])
    characters = sum(one.get("characters_count", 0) for one in ended["usage"])
    assert tokens and characters
    cost = ended["records"]["openrtc-cost"]["cost"]
    assert cost["usd"] == pytest.approx(tokens * USD_A_TOKEN + characters * USD_A_CHARACTER)
    assert cost["models"] == {"unknown/unknown": cost["usd"]} and cost["usd"] > 5
