from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from openrtc.errors import OpenRTCError
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallRejected, WorkerStopped
from openrtc.observe.jsonl import JsonlFile


def test_events_are_appended_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(2):
        file = JsonlFile(path)
        file(WorkerStopped(served=number))
        assert len(path.read_text().splitlines()) == number + 1, "written at once"
        file.close()
    assert [json.loads(line)["served"] for line in path.read_text().splitlines()] == [0, 1]


def test_any_text_stays_one_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = JsonlFile(path)
    file(CallRejected(job_id="j", room="zwei\nZeilen \udc80 ☎", cause="full", reason="x"))
    file.close()
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["room"].startswith("zwei\nZeilen ")


def test_a_file_in_no_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(
        OpenRTCError, match=r"^--metrics-jsonl: .*nowhere.* cannot be written: No such file or directory"
    ):
        JsonlFile(tmp_path / "nowhere" / "events.jsonl")


def test_a_pipe_that_nobody_reads_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OpenRTCError, match="cannot be written"):
        JsonlFile(pipe)


def test_a_full_disk_switches_the_file_off_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    events = EventStream()
    others: list[object] = []
    events.subscribe(JsonlFile(Path("/dev/full")))
    events.subscribe(others.append)
    for _ in range(3):
        events.emit(WorkerStopped(served=0))
    assert len(others) == 3
    (line,) = caplog.records
    assert line.getMessage() == (
        "an event sink is switched off: OSError: /dev/full cannot be written: No space left on device"
    )
