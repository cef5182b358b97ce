"""What an operator sees of a worker while real calls run: events, metrics, health, `openrtc top`, log lines."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from e2e.callers import CallersProcess
from e2e.cli import run_openrtc
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.speech import Voice
from e2e.tone_agents import ONLY_TONES, TONE_AGENTS
from e2e.worker import WorkerProcess

StartWorker = Callable[..., WorkerProcess]

NO_SERVER = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s" * 32}
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "events.schema.json").read_text())

LOGGING_AGENTS = Package(
    name="logging-agents",
    modules={
        "logging_agents.py": """
            import asyncio
            import logging
            import os
            import time

            import numpy as np
            from livekit import rtc
            from livekit.agents import Agent
            from livekit.agents.telemetry import set_tracer_provider
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

            provider = TracerProvider()
            exporter = ConsoleSpanExporter(
                out=open(os.environ["SPANS"], "a"), formatter=lambda span: span.to_json(indent=None) + "\\n"
            )
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            set_tracer_provider(provider)

            logger = logging.getLogger("logging_agents")

            async def silence():
                yield rtc.AudioFrame(np.zeros(2400, np.int16).tobytes(), 24_000, 1, 2400)

            class Talker(Agent):
                def __init__(self):
                    super().__init__(instructions="x")
                    logger.info("talker is made")

                async def on_enter(self):
                    logger.info("talker has entered")
                    logging.getLogger("livekit.agents").info("a line of the library")
                    self.later = asyncio.create_task(self.work())
                    await self.session.say("silence", audio=silence())

                async def on_exit(self):
                    self.later.cancel()

                async def work(self):
                    while True:
                        until = time.perf_counter() + 0.05
                        while time.perf_counter() < until:
                            pass
                        await asyncio.sleep(0.2)
        """
    },
    agents={"talker": "logging_agents:Talker"},
)


@pytest.fixture
def runtime_folder() -> Iterator[str]:
    """A folder for the sockets; pytest's own would make their paths too long."""
    with tempfile.TemporaryDirectory(prefix="rt") as folder:
        yield folder


def wait_until(true: Callable[[], Any], timeout: float = 15.0) -> Any:
    until = time.monotonic() + timeout
    while not (value := true()) and time.monotonic() < until:
        time.sleep(0.1)
    return value


def events_in(path: Path, kind: str = "") -> list[dict[str, Any]]:
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [event for event in events if kind in ("", event["event"])]


def ask(worker: WorkerProcess, path: str) -> tuple[int, str]:
    """Return status and text of an answer of the worker's health server."""
    address = worker.wait_for_log(r"HTTP server listening on").split("listening on ")[1].split('"')[0]
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ask_ready(worker: WorkerProcess) -> tuple[int, bool, str | None]:
    """Return the status of /ready, and what it says; the loop has run a moment ago."""
    status, text = ask(worker, "/ready")
    said = json.loads(text)
    assert 0 <= said.pop("loop_beat_seconds") < 2
    assert said.keys() == {"ready", "reason", "max_sessions"}
    return status, said["ready"], said["reason"]


def top(folder: str, *options: str) -> subprocess.CompletedProcess[str]:
    return run_openrtc("top", *options, variables={"XDG_RUNTIME_DIR": folder})


def workers_on(folder: str) -> list[dict[str, Any]]:
    document = json.loads(top(folder, "--once", "--json").stdout)
    assert document["schema_version"] == 1
    workers: list[dict[str, Any]] = document["workers"]
    return workers


@pytest.mark.realtime
def test_a_spoken_call_is_seen_in_events_metrics_health_and_top(
    start_worker: StartWorker,
    api: ServerApi,
    callers: CallersProcess,
    voice: Voice,
    tmp_path: Path,
    runtime_folder: str,
) -> None:
    file = tmp_path / "events.jsonl"
    worker = start_worker(
        *("--allow", "my-support-agent,openrtc-offline", "--offline", "--max-sessions", "3"),
        *("--metrics-jsonl", str(file), "--words", "full"),
        variables={"XDG_RUNTIME_DIR": runtime_folder},
    )
    assert ask(worker, "/") == (200, "OK")
    assert ask_ready(worker) == (200, True, None)
    agents = {row["name"]: row for row in json.loads(ask(worker, "/agents")[1])["agents"]}
    assert (agents["support"]["state"], agents["support"]["distribution"]) == ("ready", "my-support-agent")

    caller = callers.join("phone-1", api.token("support-phone-1", "ann"))
    caller.wait_for_agent()
    time.sleep(1.0)
    asked = caller.say(voice.say("Where is my order number seven?"))
    answered = caller.wait_for_answer(asked.ended, timeout=30.0)
    assert answered is not None
    (turn,) = wait_until(lambda: [one for one in events_in(file, "turn_completed") if one["answered"]])
    assert "order" in turn["heard"] and "Order number 7" in turn["said"]
    assert turn["latency_seconds"] == pytest.approx(answered.began - asked.ended, abs=1.0)
    assert 0 < turn["end_of_turn_seconds"] < turn["latency_seconds"]
    assert turn["llm_ttft_seconds"] >= 0 and turn["tts_ttfb_seconds"] > 0

    (seen,) = workers_on(runtime_folder)
    assert (seen["pid"], seen["state"], seen["isolation"]) == (worker.pid, "ready", "coroutine")
    assert (seen["sessions"], seen["max_sessions"], seen["served"], seen["failed"]) == (1, 3, 1, 0)
    (call,) = seen["calls"]
    assert (call["room"], call["agent"], call["rule"]) == ("support-phone-1", "support", "room.prefix")
    assert (call["turns"], call["last_latency_seconds"]) == (1, turn["latency_seconds"])
    assert 0 < call["cpu_share"] < 1
    printed = top(runtime_folder, "--once").stdout
    assert "support-phone-1" in printed and f"{turn['latency_seconds']:.2f} s" in printed

    metrics = ask(worker, "/metrics")[1]
    assert 'openrtc_routing_decisions_total{agent="support",rule="room.prefix"} 1.0' in metrics
    assert 'openrtc_turn_latency_seconds_count{agent="support"} 1.0' in metrics
    assert "openrtc_sessions 1.0" in metrics and "openrtc_ready 1.0" in metrics

    worker.signal()
    assert wait_until(lambda: ask_ready(worker) == (503, False, "draining"))
    assert ask(worker, "/")[0] == 200
    assert workers_on(runtime_folder)[0]["state"] == "draining"
    caller.leave()
    assert worker.wait() == 0
    assert top(runtime_folder, "--once").returncode == 1
    assert not list(Path(runtime_folder, "openrtc").iterdir())

    events = events_in(file)
    for event in events:
        jsonschema.validate(event, SCHEMA)
    assert [event["event"] for event in events if event["event"] not in ("resource_loaded", "usage")] == [
        *("worker_started", "worker_registered", "call_routed", "call_started", "tool_called", "turn_completed"),
        *("worker_draining", "call_waiting", "call_ended", "worker_stopped"),
    ]
    assert [event["type"] for event in events if event["event"] == "usage"] == ["llm_usage", "tts_usage", "stt_usage"]
    of_call = [event for event in events if "job_id" in event]
    assert {(event["room"], event["agent"], event["distribution"]) for event in of_call} == {
        ("support-phone-1", "support", "my-support-agent")
    }
    assert len({event["job_id"] for event in of_call}) == 1


@pytest.mark.parametrize("isolation", ["coroutine", "thread", "process"])
def test_every_line_and_event_of_a_call_tells_which_call_it_is(
    start_worker: StartWorker,
    api: ServerApi,
    callers: CallersProcess,
    tmp_path: Path,
    runtime_folder: str,
    isolation: str,
) -> None:
    file, room = tmp_path / "events.jsonl", f"talker-{isolation}"
    worker = start_worker(
        *("--allow", "logging-agents", "--isolation", isolation, "--metrics-jsonl", str(file)),
        folders=[LOGGING_AGENTS.install_into(tmp_path / "packages")],
        variables={"XDG_RUNTIME_DIR": runtime_folder, "SPANS": str(tmp_path / "spans")},
        isolates=isolation == "process",
    )
    caller = callers.join("ann", api.token(room, "ann"))
    caller.wait_for_agent(60.0)
    call = wait_until(lambda: [call for call in workers_on(runtime_folder)[0]["calls"] if call["cpu_share"]], 30.0)[0]
    assert (call["room"], call["agent"], call["state"]) == (room, "talker", "live")
    assert (call["pid"] == worker.pid) == (isolation != "process")
    assert 0.03 < call["cpu_share"] < 0.9
    assert "openrtc_sessions 1.0" in ask(worker, "/metrics")[1]
    caller.leave()
    (ended,) = wait_until(lambda: events_in(file, "call_ended"))
    assert not ended["failed"]
    assert 'openrtc_sessions_ended_total{agent="talker"} 1.0' in ask(worker, "/metrics")[1]
    assert wait_until(lambda: not workers_on(runtime_folder)[0]["calls"])

    fields = {"job_id": ended["job_id"], "room": room, "agent": "talker", "distribution": "logging-agents"}
    of_call = [event for event in events_in(file) if event.get("job_id")]
    kinds = Counter(event["event"] for event in of_call)
    del kinds["loop_blocked"]  # a busy machine
    # It says a tone by itself.
    assert kinds == {"call_routed": 1, "call_started": 1, "turn_completed": 1, "call_ended": 1}
    assert all(fields.items() <= event.items() for event in of_call)
    for message in ("talker is made", "talker has entered", "a line of the library"):
        (line,) = worker.records(f"^{message}$")
        assert fields.items() <= line.items(), line
    lines = [line for line in worker.records() if line.get("job_id") and line["message"] != "received job request"]
    assert all(fields.items() <= line.items() for line in lines), lines
    assert {"openrtc.routing", "openrtc.worker", "livekit.agents", "logging_agents"} <= {x["logger"] for x in lines}

    spans = [json.loads(span) for span in (tmp_path / "spans").read_text().splitlines()]
    (marked,) = [span for span in spans if "openrtc.rule" in span["attributes"]]
    assert marked["attributes"]["openrtc.agent"] == "talker"
    assert marked["attributes"]["openrtc.distribution"] == "logging-agents"
    assert {span["context"]["trace_id"] for span in spans if span["name"] == "agent_session"} == {
        marked["context"]["trace_id"]
    }
    assert not [span["name"] for span in spans if span["name"].startswith("openrtc")]


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    options = ("--metrics-jsonl", str(tmp_path / "nowhere" / "events.jsonl"))
    done = run_openrtc("start", *options, folders=folders, variables=ONLY_TONES | NO_SERVER)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("openrtc: --metrics-jsonl: ")
    assert "Traceback" not in done.stderr and "No such file or directory" in done.stderr
