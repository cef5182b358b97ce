from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openrtc.observe import repeated_lines
from openrtc.observe.logs import OF_PACKAGE, configure_logs
from openrtc.observe.package_code import forget_packages, note_packages
from openrtc.observe.repeated_lines import MOST_REMEMBERED, RepeatedLines, describe_repeats
from openrtc.observe.stdio import flush_output


class Clock:
    """Stands for the clock, and for the thread that would tell counts in time."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(RepeatedLines, "_watch_from_now", lambda _: None)
    return clock


def build() -> tuple[RepeatedLines, list[str]]:
    written: list[str] = []
    return RepeatedLines(written.append, lambda line, n, s: f"{line}: {describe_repeats(n, s)}"), written


def test_what_comes_again_is_counted_in_windows_that_grow(clock: Clock) -> None:
    lines, written = build()
    for _ in range(1000):  # for 100 s
        lines.put("12:00 ", "full", 1)
        clock.now += 0.1
    lines.flush()
    assert written[0] == "12:00 full"
    seconds = [int(line.rpartition("last ")[2].split()[0]) for line in written[1:]]
    counts = [int(line.split("came ")[1].split()[0]) for line in written[1:]]
    assert seconds == [1, 10, 60, 29] and sum(counts) == 999


def test_a_line_that_has_been_quiet_for_a_window_is_written_again(clock: Clock) -> None:
    lines, written = build()
    for seconds in (0, 1.1, 0.5, 5, 3, 20):
        clock.now += seconds
        lines.put("12:00 ", "slow", 1)
    once, twice = "slow: came once more in the last 6 s", "slow: came 2 more times in the last 23 s"
    # What a thread would tell in time is told with the next line here.
    assert written == ["12:00 slow", "12:00 slow", once, twice]


def test_lines_that_differ_are_all_written(clock: Clock) -> None:
    lines, written = build()
    for number in range(3 * MOST_REMEMBERED):
        lines.put("12:00 ", f"room {number}", 1)
    assert written == [f"12:00 room {number}" for number in range(3 * MOST_REMEMBERED)]


def test_no_count_is_lost_when_a_line_is_forgotten(clock: Clock) -> None:
    lines, written = build()
    for _ in range(5):
        lines.put("", "old", 1)
    for number in range(MOST_REMEMBERED):
        lines.put("", f"room {number}", 1)
    assert "old: came 4 more times in the last 1 s" in written
    lines.put("", "old", 1)
    assert written[-1] == "old"


def test_a_count_is_told_without_another_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_lines, "WINDOWS", (0.05, 0.05))
    told = threading.Event()
    written: list[str] = []

    def write(line: str) -> None:
        written.append(line)
        if "came" in line:
            told.set()

    lines = RepeatedLines(write, lambda line, n, s: f"{line} {n} came")
    for _ in range(3):
        for _ in range(4):
            lines.put("", "x", 1)
        assert told.wait(30)
        told.clear()
    lines.flush()
    assert sum(int(line.split()[1]) if "came" in line else 1 for line in written) == 12


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_tell_its_parents_counts(tmp_path: Path) -> None:
    file = (tmp_path / "log").open("a")
    lines = RepeatedLines(lambda line: print(line, file=file, flush=True), lambda line, n, s: f"{line} {n} more")
    for _ in range(3):
        lines.put("", "x", 1)
    pid = os.fork()
    if pid == 0:
        lines.put("", "x", 1)
        lines.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    lines.flush()
    assert (tmp_path / "log").read_text().splitlines() == ["x", "x", "x 2 more"]


@pytest.fixture
def read_log(own_log: None, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """Reads the lines of a log that is configured in the test."""
    yield lambda: capfd.readouterr().err.splitlines()
    forget_packages()


def test_the_log_counts_in_json(read_log: Callable[[], list[str]]) -> None:
    configure_logs("info", "json")
    worker = logging.getLogger("openrtc.worker")
    for _ in range(400):
        worker.error("an error: %s", OSError(24, "Too many open files"))
    for room in ("a", "b"):
        worker.error("call failed", extra={"room": room})
    try:
        raise ValueError("no")
    except ValueError:
        for _ in range(2):
            logging.getLogger("library").exception("job crashed", extra={"room": "a"})
    flush_output()
    lines = [json.loads(line) for line in read_log()]
    told = [(line["level"], line["message"], line.get("repeated"), line.get("room")) for line in lines]
    text = "an error: [Errno 24] Too many open files"
    assert told == [
        ("error", text, None, None),
        ("error", "call failed", None, "a"),
        ("error", "call failed", None, "b"),
        ("error", "job crashed", None, "a"),
        ("error", f"{text} (came 399 more times in the last 1 s)", 399, None),
        ("error", "job crashed (came once more in the last 1 s)", 1, "a"),
    ]
    assert ["exception" in line for line in lines] == [False, False, False, True, False, False]


def test_the_log_counts_in_text(read_log: Callable[[], list[str]]) -> None:
    configure_logs("info", "text")
    for level in (logging.INFO, logging.ERROR):
        for _ in range(3):
            logging.getLogger("openrtc.worker").log(level, "full", extra={"room": "a"})
    logging.shutdown()
    assert [line[9:] for line in read_log()] == [
        "INFO    openrtc.worker: full  room=a",
        "ERROR   openrtc.worker: full  room=a",
        "INFO    openrtc.worker: full  room=a  (came 2 more times in the last 1 s)",
        "ERROR   openrtc.worker: full  room=a  (came 2 more times in the last 1 s)",
    ]


def test_a_package_sees_each_of_its_first_lines(read_log: Callable[[], list[str]]) -> None:
    configure_logs("info", "text")
    note_packages([__name__])
    for _ in range(OF_PACKAGE + 5):
        logging.getLogger(__name__).info("here")
    flush_output()
    written = read_log()
    assert len(written) == OF_PACKAGE + 1 and written[-1].endswith("here  (came 5 more times in the last 1 s)")


@pytest.mark.process
def test_a_count_is_not_lost_at_the_end_of_the_process(tmp_path: Path) -> None:
    code = (
        "import logging, sys\n"
        "from openrtc.observe.logs import configure_logs\n"
        "from openrtc.worker.process_exit import exit_process\n"
        "configure_logs('info', 'text')\n"
        "for _ in range(7): logging.getLogger('openrtc').info('x')\n"
        "exit_process(0) if sys.argv[1] == 'exit' else None\n"
    )
    for how in ("exit", "end"):
        done = subprocess.run([sys.executable, "-c", code, how], capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1].endswith("x  (came 6 more times in the last 1 s)"), how
