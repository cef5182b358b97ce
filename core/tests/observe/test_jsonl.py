from __future__ import annotations

import contextlib
import json
import os
import re
import select
import time
from pathlib import Path

import pytest

from openrtc.errors import OpenRTCError
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallRejected, WorkerStopped
from openrtc.observe.jsonl import JsonlFile
from openrtc.observe.words import FULL, Words


def test_events_are_appended_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(2):
        file = JsonlFile(path, Words(FULL))
        file(WorkerStopped(served=number))
        file.flush()
        assert len(path.read_text().splitlines()) == number + 1
        file.close()
    assert [json.loads(line)["served"] for line in path.read_text().splitlines()] == [0, 1]


def test_any_text_stays_one_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = JsonlFile(path, Words(FULL))
    file(CallRejected(job_id="j", room="zwei\nZeilen \udc80 ☎", cause="full", reason="x"))
    file.close()
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["room"].startswith("zwei\nZeilen ")


def test_a_file_in_no_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(
        OpenRTCError, match=r"^--metrics-jsonl: .*nowhere.* cannot be written: No such file or directory"
    ):
        JsonlFile(tmp_path / "nowhere" / "events.jsonl", Words(FULL))


def test_a_pipe_without_a_reader_holds_nobody_and_gets_the_events_when_one_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = JsonlFile(pipe, Words(FULL))
    file(WorkerStopped(served=1))
    assert "nobody reads the pipe" in caplog.text
    for served in (2, 3):  # the second reader comes when the first has gone
        reads = os.open(pipe, os.O_RDONLY)
        file(WorkerStopped(served=served))
        file.flush()
        lines = os.read(reads, 65536).decode().splitlines()
        assert json.loads(lines[-1])["served"] == served
        os.close(reads)
        file(WorkerStopped(served=0))
    file.close()


def test_a_reader_that_stands_still_costs_events_and_these_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reads = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    file = JsonlFile(pipe, Words(FULL))
    for _ in range(2_000):
        file(CallRejected(job_id="j", room="r" * 3_000, cause="full", reason="x"))
    seen = 0
    while "events were dropped because nobody read" not in caplog.text:
        if select.select([reads], [], [], 0.05)[0]:
            seen += os.read(reads, 65536).count(b"\n")
    dropped = int(re.search(r"(\d+) events were dropped", caplog.text)[1])  # type: ignore[index]  # it is there
    file.flush()
    with contextlib.suppress(BlockingIOError):
        while part := os.read(reads, 65536):
            seen += part.count(b"\n")
    assert seen + dropped == 2_000
    file.close()
    os.close(reads)


def test_a_full_disk_is_one_line_and_holds_nobody(caplog: pytest.LogCaptureFixture) -> None:
    events = EventStream()
    others: list[object] = []
    file = JsonlFile(Path("/dev/full"), Words(FULL))
    events.subscribe(file)
    events.subscribe(others.append)
    began = time.monotonic()
    for _ in range(3):
        events.emit(WorkerStopped(served=0))
    assert len(others) == 3 and time.monotonic() - began < 5.0
    file.close()
    assert [line.getMessage() for line in caplog.records] == [
        "/dev/full cannot be written: No space left on device; events wait until it can",
        "the last events are lost: /dev/full cannot be written",
    ]
