from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from openrtc.observe.line_relay import Descriptor, LineWriter, Relay, Source, describe_gap
from waiting import PATIENCE_SECONDS

QUICK = 0.5
"""Seconds that nothing may take that must not wait, on a busy machine."""


def soon(holds: Callable[[], object]) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(holds())


def read_all(pipe: int) -> str:
    os.set_blocking(pipe, False)
    parts = []
    try:
        while part := os.read(pipe, 65536):
            parts.append(part)
    except BlockingIOError:
        pass
    return b"".join(parts).decode()


def read_until_idle(writer: LineWriter, pipe: int) -> str:
    text = ""

    def drained() -> bool:
        nonlocal text
        text += read_all(pipe)
        return writer.idle

    assert soon(drained)
    return text


class Told:
    def __init__(self) -> None:
        self.gaps: list[tuple[int, str]] = []
        self.problems: list[str] = []

    def tell(self, lines: int, problem: str, seconds: float) -> bytes:
        self.gaps.append((lines, problem))
        return f"gap of {lines}\n".encode()


def test_a_reader_that_stands_still_holds_nobody_and_the_gap_is_told_where_it_is() -> None:
    reads, writes = os.pipe()
    told = Told()
    writer = LineWriter(Descriptor(writes), told.tell, limit=200_000)
    began = time.monotonic()
    for number in range(20_000):
        writer.put(b"line %06d ........\n" % number)
    assert time.monotonic() - began < 5.0
    assert not told.gaps, "nothing can be told while nobody reads"
    text = read_until_idle(writer, reads)
    writer.put(b"afterwards\n")
    writer.flush()
    text += read_all(reads)
    lines = text.splitlines()
    ((dropped, problem),) = told.gaps
    kept = [line for line in lines if line.startswith("line ")]
    assert lines == [*kept, f"gap of {dropped}", "afterwards"], "whole lines in their order, and the gap at its place"
    assert len(kept) + dropped == 20_000 and kept == [f"line {n:06} ........" for n in range(len(kept))]
    assert not problem
    writer.close()


def test_a_full_disk_holds_nobody_and_it_goes_on_by_itself() -> None:
    written: list[bytes] = []
    full = [True]
    problems: list[str] = []

    def write(data: bytes) -> int:
        if full[0]:
            raise OSError(28, "No space left on device")
        written.append(data)
        return len(data)

    told = Told()
    writer = LineWriter(write, told.tell, limit=100, warn=problems.append)
    began = time.monotonic()
    for number in range(50):
        writer.put(b"line %02d\n" % number)
    assert time.monotonic() - began < QUICK
    assert soon(lambda: problems)
    full[0] = False
    assert soon(lambda: writer.idle)
    text = b"".join(written).decode()
    ((dropped, problem),) = told.gaps
    assert (problem, problems) == ("No space left on device", ["No space left on device"]), "told when it begins, once"
    assert text.splitlines() == [*(f"line {n:02}" for n in range(50 - dropped)), f"gap of {dropped}"]
    writer.close()


def test_a_file_that_is_emptied_does_not_begin_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    descriptor, state = Descriptor(file), {"first": True}

    def write(data: bytes) -> int:
        if state.pop("first", None):
            written = descriptor(data[:7] if data.startswith(b"a whole") else data)
            descriptor._size = os.fstat(file).st_size  # as after a write that ended because the disk was full
            os.truncate(path, 0)  # somebody makes room
            return written
        return descriptor(data)

    writer = LineWriter(write, lambda *gap: None)
    writer.put(b"a whole line\n")
    writer.flush()
    assert path.read_text() == "a whole line\n"
    writer.close()


def test_a_flush_and_a_close_wait_no_longer_than_they_may() -> None:
    _, writes = os.pipe()
    writer = LineWriter(Descriptor(writes), lambda *gap: None)
    writer.put(b"x" * 200_000 + b"\n")
    began = time.monotonic()
    assert not writer.flush(0.2)
    writer.close(0.2)
    assert 0.2 <= time.monotonic() - began < 20.0


def test_a_full_pipe_that_does_not_wait_is_tried_again() -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    writer = LineWriter(Descriptor(writes), lambda *gap: None)
    for _ in range(10):
        writer.put(b"y" * 20_000 + b"\n")
    text = read_until_idle(writer, reads)
    text += read_all(reads)
    assert text.splitlines() == ["y" * 20_000] * 10
    writer.close()


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_gap_is_one_line(style: str) -> None:
    line = describe_gap("standard error", style, 7, 'a "quoted" \\ path', 12.3).decode()
    assert line.count("\n") == 1 and "7 lines were dropped because standard error could not be written for 12 s" in line


def test_a_relay_goes_on_when_its_owner_has_ended_without_reading_an_answer() -> None:
    (reads, writes), (out, written) = os.pipe(), os.pipe()
    owner, control = socket.socketpair()
    control.send(b".")
    owner.close()
    os.write(writes, b"of a child of its\n")
    os.close(writes)
    with control:
        Relay([Source(reads, LineWriter(Descriptor(written), lambda *gap: None))], control.fileno()).run()
    assert read_all(out) == "of a child of its\n"


LINES = 6_000
"""Of the log, each of a kilobyte: more than wait for a reader."""
OUTPUT = f"""
import ctypes, logging, os, subprocess, sys, time
from openrtc.observe.logs import configure_logs
from openrtc.observe.stdio import relay_output

assert relay_output("json") is None
configure_logs("info", "json")
began = time.monotonic()
for number in range({LINES}):
    logging.getLogger("my_agent").info("a line of the log %s %d", "." * 900, number)
    if number % 100 == 0:
        print("printed", number)
        os.write(1, b"written\\n")
        ctypes.CDLL(None).puts(b"native")
        ctypes.CDLL(None).fflush(None)
    if number % 2_000 == 0:
        subprocess.run(["echo", "by a child"], check=True)
open(sys.argv[1], "w").write(str(time.monotonic() - began))
os.rename(sys.argv[1], sys.argv[1] + ".done")
time.sleep(float(sys.argv[2]))
logging.getLogger("my_agent").info("the last line")
print("the last word", end="")
if len(sys.argv) > 3:
    os.kill(os.getpid(), int(sys.argv[3]))
"""


PRINTS = """
import sys, threading
from openrtc.observe.stdio import relay_output

assert relay_output("json") is None

class Word:
    def __str__(self):
        other = threading.Thread(target=print, args=("another line",), kwargs={"file": sys.stderr})
        other.start()
        other.join()
        return "word"

print("a", Word(), "more")
"""


@pytest.mark.process
def test_a_printed_line_is_whole_where_nothing_is_buffered() -> None:
    done = subprocess.run(
        [sys.executable, "-u", "-c", PRINTS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    )
    assert sorted(done.stdout.splitlines()) == [b"a word more", b"another line"]


@pytest.mark.process
def test_nothing_that_a_process_writes_waits_for_a_reader_that_stands_still(tmp_path: Path) -> None:
    done = tmp_path / "took.done"
    process = subprocess.Popen(
        [sys.executable, "-c", OUTPUT, tmp_path / "took", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert soon(done.exists), "nobody has read a line, and it has written all"
    assert process.stdout is not None
    lines = process.stdout.read().decode().splitlines()
    assert process.wait() == 0
    starts = {line.split(" ")[0].rstrip("1234567890") for line in lines[:-1] if not line.startswith('{"time"')}
    assert starts == {"printed", "written", "native", "by"}, "whole lines"
    (gap,) = [line for line in lines if "lines were dropped because nobody read the log" in line]
    kept = sum("a line of the log" in line for line in lines)
    assert LINES / 2 < kept < LINES and gap.endswith("}")
    assert "the last line" in lines[-2] and lines[-1] == "the last word"


@pytest.mark.process
@pytest.mark.parametrize("number", [6, 9])
def test_what_was_written_last_comes_out_whatever_ends_the_process(tmp_path: Path, number: int) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", OUTPUT, tmp_path / "took", "0", str(number)], stdout=file, stderr=file
        )
        assert process.wait() == -number
    assert soon(lambda: "the last line" in log.read_text())
    assert log.read_text().count("a line of the log") == LINES


@pytest.mark.process
def test_a_relay_that_is_killed_is_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", OUTPUT, tmp_path / "took", "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    first = os.read(process.stdout.fileno(), 100)
    relay = min(psutil.Process(process.pid).children(), key=psutil.Process.create_time)  # `echo` may run beside it
    relay.kill()
    lines = (first + process.stdout.read()).decode(errors="replace").splitlines()
    assert process.wait() == 0
    assert any("had ended: it is started again" in line for line in lines)
    assert "the last line" in lines[-2] and lines[-1] == "the last word"


@pytest.mark.process
def test_an_end_waits_for_a_reader_that_stands_still_for_a_second_only(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", OUTPUT, tmp_path / "took", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert soon((tmp_path / "took.done").exists)
    assert process.wait(5.0) == 0
    assert process.stdout and process.stderr
    process.stdout.close()
    process.stderr.close()
