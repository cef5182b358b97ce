from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from openrtc.cli.main import main
from openrtc.cli.top_screen import build_screen
from openrtc.discovery.loaded_distributions import Drift
from openrtc.observe.snapshots import SnapshotServer
from openrtc.observe.sockets import make_private_folder, snapshot_path

pytestmark = pytest.mark.usefixtures("runtime_folder")

CALL = {
    "job_id": "AJ_1",
    "room": "support-call-1",
    "agent": "support",
    "distribution": "my-support-agent",
    "pid": 4711,
    "rule": "room.prefix",
    "state": "live",
    "age_seconds": 73.2,
    "turns": 4,
    "last_latency_seconds": 1.31,
    "errors": 0,
    "cpu_share": 0.034,
    "blocked_ms": 0.0,
}
WORKER: dict[str, Any] = {
    "pid": 4711,
    "worker_id": "AW_1",
    "state": "ready",
    "isolation": "coroutine",
    "agent_name": "",
    "uptime_seconds": 3700.0,
    "sessions": 2,
    "max_sessions": 50,
    "load": 0.35,
    "load_limit": 0.7,
    "loop_lag_ms": 3.2,
    "loop_beat_seconds": 0.02,
    "memory_mb": 181.4,
    "served": 12,
    "failed": 1,
    "rejects": {"full": 2, "routing": 1},
    "blocked_ms": 0.0,
    "calls": [CALL, CALL | {"room": "x", "state": "joining", "cpu_share": None, "last_latency_seconds": None}],
}


@pytest.fixture
def worker(runtime_folder: Path) -> Iterator[None]:
    make_private_folder()
    server = SnapshotServer(snapshot_path(os.getpid()), lambda: WORKER)
    yield
    server.close()


def shown(workers: list[dict[str, Any]], width: int) -> str:
    out = Console(width=width, file=io.StringIO(), force_terminal=False)
    with out.capture() as captured:
        out.print(build_screen(workers, width))
    return captured.get()


def test_without_a_worker_it_says_so_and_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top"]) == 1
    assert capsys.readouterr().err == (
        "openrtc: no worker of this user runs on this machine: start one with openrtc start or openrtc dev\n"
    )


@pytest.mark.process
def test_json_gives_every_worker_even_if_there_is_none() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "openrtc", "top", "--once", "--json"], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"schema_version": 1, "workers": []}


@pytest.mark.process
@pytest.mark.usefixtures("worker")
def test_json_gives_the_snapshots_as_they_are() -> None:
    done = subprocess.run([sys.executable, "-m", "openrtc", "top", "--json"], capture_output=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"schema_version": 1, "workers": [WORKER]}


@pytest.mark.usefixtures("worker")
def test_once_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--once"]) == 0
    printed = capsys.readouterr().out
    assert "1 worker, 2 calls" in printed and "support-call-1" in printed


@pytest.mark.parametrize("width", [80, 160])
def test_every_line_fits_the_terminal_and_what_matters_is_there(width: int) -> None:
    printed = shown([WORKER, WORKER | {"pid": 4712}], width)
    assert max(len(line) for line in printed.splitlines()) <= width
    for text in ("2/50", "50%", "3 ms", "181 MB", "1:01 h", "1:13 min", "1.31 s", "3.4%", "joining", "support-call-1"):
        assert text in printed, text
    assert ("room.prefix" in printed) == (width == 160)


def test_long_names_give_way_to_figures_in_a_narrow_terminal() -> None:
    long = CALL | {"room": "a-room-" + "x" * 60, "agent": "the-agent-of-the-night-shift", "blocked_ms": 15_000.0}
    printed = shown([WORKER | {"state": "not connected to the LiveKit server", "calls": [long]}], 80)
    assert max(len(line) for line in printed.splitlines()) <= 80
    for text in ("a-room-xxx", "the-agent-", "1:13 min", "1.31 s", "15000 ms", "181 MB", "1:01 h"):
        assert text in printed, text


def test_who_leaves_something_behind_and_how_the_process_grows_is_said() -> None:
    left = {"my-desk": {"calls": 3, "tasks": 3, "threads": 1, "rooms": 0, "place": "poll() at /site/my_desk.py:12"}}
    growth = {"calls": 40, "memory_mb": 0.412, "descriptors": 2.0}
    printed = shown([WORKER | {"left_behind": left, "growth_estimate": growth}], 160)
    assert "4711: my-desk left 3 tasks, 1 thread behind in 3 calls, such as poll() at /site/my_desk.py:12" in printed
    assert "4711: about +0.41 MB and +2.0 descriptors a call, an estimate over 40 calls" in printed
    unknown = growth | {"descriptors": None}
    assert "about +0.41 MB a call" in shown([WORKER | {"left_behind": {}, "growth_estimate": unknown}], 80)


def test_a_worker_that_does_not_answer_is_shown() -> None:
    printed = shown([{"pid": 99, "state": "does not answer", "calls": []}], 80)
    assert "99" in printed and "does not answer" in printed and "no call is live" in printed


@pytest.mark.process
def test_it_imports_no_livekit() -> None:
    code = (
        "import sys; from openrtc.cli.main import main; main(['top', '--once']); import openrtc.cli.top_screen;"
        "sys.exit(any(name.startswith('livekit') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("interval", ["0", "soon", "nan"])
def test_a_wrong_interval_is_refused(interval: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["top", "--interval", interval])
    assert ended.value.code == 2
    assert "--interval" in capsys.readouterr().err


def test_what_a_worker_leaves_out_is_shown_with_its_reason() -> None:
    reason = "its import had not ended after 60 seconds"
    assert f"my-hung is left out: {reason}" in shown([WORKER | {"left_out": {"my-hung": reason}}], 160)


def test_a_blocked_worker_shows_since_when_and_one_of_an_earlier_release_is_shown_too() -> None:
    assert "blocked for 12 s" in shown([WORKER | {"state": "blocked", "loop_beat_seconds": 12.3}], 160)
    earlier = {key: value for key, value in WORKER.items() if key != "loop_beat_seconds"}
    assert "ready" in shown([earlier], 160)


def test_what_is_installed_otherwise_than_it_was_loaded_is_counted_and_named() -> None:
    drift = Drift(distribution="desk", what="upgraded", loaded_version="1.0", installed_version="1.1").to_json()
    for width in (80, 160):
        screen = shown([WORKER | {"drift": [drift]}], width)
        assert "Drift" in screen and "4711: desk 1.1 was installed after this worker loaded 1.0" in screen
