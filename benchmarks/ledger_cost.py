"""What the ledger of calls costs, and the hook ``openrtc_session``.

    python benchmarks/ledger_cost.py [CALLS [SECONDS [WORDS]]]  # 4 calls at once for 60 s by default

A real LiveKit server and one worker, whose callers type and are answered aloud, each answer with a tool, every three
seconds: more than people do. A package in the worker counts the CPU time of the ledger's own functions, with all that
they call: the sinks of the events, too, among them a file. With ``full`` as the third argument words are written,
also as lines of the log. The hook is measured by itself: a session is given to no plugin, to one, and to ten.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.callers import CallersProcess
from e2e.cast_agents import CAST_AGENTS
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.worker import openrtc_worker
from openrtc import Call, Decision, RouteRequest, hookimpl
from openrtc.plugins.hooks import Hooks
from openrtc.server import LocalServer

CPU_OF_A_CALL_MINUTE = 4.2
"""Seconds, as docs/performance.md has them for a call on two cores."""
ASK_SECONDS = 3.0
CLOCK_CALLS = 1000

COUNTER = Package(
    name="ledger-counter",
    modules={
        "ledger_counter.py": """
            import functools
            import logging
            import time

            from openrtc import hookimpl
            from openrtc.observe import jsonl, words, worker_state
            from openrtc.runtime import ledger as totals, live_call
            from openrtc.session import ledger, turns

            logger = logging.getLogger("ledger-counter")
            COUNTED = {
                turns.Turns: ("on_item_added", "on_user_changed", "on_agent_changed", "on_close"),
                ledger.SessionLedger: (
                    *("on_tool_updated", "on_tools_executed", "on_agent_changed", "on_close", "tell_usage"),
                ),
                live_call.LiveCall: (
                    *("emit_started", "note_person", "emit_turn", "emit_tool", "emit_usage", "_emit_ended"),
                ),
                totals.Ledger: ("note", "record"),
            }
            spent = {}
            depth = 0


            def count(kind, name):
                function = getattr(kind, name)

                @functools.wraps(function)
                def counted(*arguments, **options):
                    global depth
                    depth += 1
                    began = time.thread_time_ns()
                    try:
                        return function(*arguments, **options)
                    finally:
                        depth -= 1
                        if not depth:  # what it calls of the others is counted already
                            took = time.thread_time_ns() - began
                            calls, before = spent.get(f"{kind.__name__}.{name}", (0, 0))
                            spent[f"{kind.__name__}.{name}"] = (calls + 1, before + took)

                setattr(kind, name, counted)


            for kind, names in COUNTED.items():
                for name in names:
                    count(kind, name)


            @hookimpl
            def openrtc_shutdown(worker):
                import json

                logger.info("COUNTED %s", json.dumps(spent))
        """
    },
    plugins={"counter": "ledger_counter"},
)


@dataclass
class Plugin:
    """A plugin that is given sessions."""

    name: str
    target: object
    distribution: str = "benchmark"


def main(calls: int, seconds: float, words: str) -> None:
    """Measure both, and print them."""
    spent, minutes = hold_calls(calls, seconds, words)
    print(f"{'function':<36}{'calls':>8}{'µs each':>10}{'ms a call-minute':>19}")
    for name, (times, nanoseconds) in sorted(spent.items(), key=lambda one: -one[1][1]):
        print(f"{name:<36}{times:>8}{nanoseconds / 1e3 / times:>10.1f}{nanoseconds / 1e6 / minutes:>19.3f}")
    total = sum(nanoseconds for _, nanoseconds in spent.values()) / 1e9 / minutes
    share = total / CPU_OF_A_CALL_MINUTE
    print(f"the ledger: {total * 1e3:.2f} ms of {CPU_OF_A_CALL_MINUTE} CPU s a call-minute: {share:.3%}")
    for plugins in (0, 1, 10):
        print(f"openrtc_session with {plugins} plugins: {asyncio.run(time_hook(plugins)):.1f} µs a session")


def hold_calls(calls: int, seconds: float, words: str) -> tuple[dict[str, list[int]], float]:
    """Hold so many calls at once; return what was counted, and how many minutes all calls had together."""
    with tempfile.TemporaryDirectory() as name, LocalServer(port=0) as server:
        folder = Path(name)
        api = ServerApi(server.url, server.api_key, server.api_secret)
        packages = [one.install_into(folder / "packages") for one in (CAST_AGENTS, COUNTER)][:1]
        options = ["--allow", f"{CAST_AGENTS.name},{COUNTER.name}", "--words", words]
        options += ["--metrics-jsonl", str(folder / "events.jsonl")]
        with openrtc_worker(api, folder / "worker.log", *options, folders=packages) as worker:
            worker.wait_until_ready()
            with CallersProcess(api.url, folder) as callers:
                rooms = [f"tim-{number}" for number in range(calls)]
                joined = [callers.join(room, api.token(room, "ann")) for room in rooms]
                for caller in joined:
                    caller.wait_for_agent()
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    for room in rooms:
                        callers.command("send_text", caller=room, text="Tim wait(0.05)").result(10)
                    time.sleep(ASK_SECONDS)
                for caller in joined:
                    caller.leave()
            api.delete_all_rooms()
            while any(api.agents_in(rooms).values()):
                time.sleep(0.2)
            worker.stop()
            (line,) = worker.records("COUNTED")
        events = [json.loads(one) for one in (folder / "events.jsonl").read_text().splitlines()]
    held = sum(event["seconds"] for event in events if event["event"] == "call_ended")
    spent: dict[str, list[int]] = json.loads(line["message"].partition("COUNTED ")[2])
    return spent, held / 60


async def time_hook(plugins: int) -> float:
    """Return how many microseconds it takes to give a session to so many plugins, at the median."""

    class Listens:
        @hookimpl
        def openrtc_session(self, call: Call, session: Any) -> None:
            session.on("close", call.record)

    hooks = Hooks([Plugin(f"plugin-{number}", Listens()) for number in range(plugins)])
    call = Call(
        job_id="AJ_1", agent_name="support", request=RouteRequest(room_name="r"), decision=Decision.to("support")
    )
    session = SimpleNamespace(on=lambda event, listener: None)
    took = []
    for _ in range(CLOCK_CALLS):
        began = time.perf_counter()
        await hooks.collect_on_loop("openrtc_session", limit=2.0, call=call, session=session)
        took.append((time.perf_counter() - began) * 1e6)
    return statistics.median(took)


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    main(int(given.get(1, 4)), float(given.get(2, 60.0)), given.get(3, "none"))
