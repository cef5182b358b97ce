from __future__ import annotations

import gzip
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from openrtc.cli.main import main
from openrtc.errors import OpenRTCError
from openrtc.observe.event_files import find_calls_of, forget_calls, list_files, remove_recordings
from openrtc.observe.events import (
    CallEnded,
    CallError,
    CallRouted,
    CallStarted,
    Event,
    ToolCalled,
    TurnCompleted,
    WorkerStopped,
)
from openrtc.observe.jsonl import JsonlFile
from openrtc.observe.words import FULL, NONE, Words

USED = {"type": "llm_usage", "provider": "acme", "model": "a-1", "input_tokens": 30}
RECORDS = {"openrtc-cost": {"usd": 0.25}}


def list_events(job_id: str, identity: str, at: float = 1_790_000_000.0) -> list[Event]:
    """Return the events of a call."""
    call: dict[str, Any] = {"job_id": job_id, "room": "support-1", "agent": "support", "distribution": "my-agent"}
    return [
        CallRouted(**call, rule="room.prefix", reason="the room name starts with 'support'", ms=0.1, time=at),
        CallStarted(**call, setup_seconds=0.25, identity=identity, time=at + 1),
        TurnCompleted(**call, said="hello", answered=False, time=at + 2),
        ToolCalled(**call, name="find", arguments='{"number": 7}', result="on its way", seconds=0.2, time=at + 3),
        TurnCompleted(
            **call,
            heard="where is it",
            said="on its way",
            end_of_turn_seconds=0.5,
            llm_ttft_seconds=0.2,
            latency_seconds=0.9,
            time=at + 4,
        ),
        CallError(**call, where="tool", error="ValueError: no order 4711", place="agent.py:7", time=at + 5),
        CallEnded(
            **call,
            reason="everybody has left",
            seconds=12.5,
            people=(identity, "carol"),
            usage=(USED,),
            records=RECORDS,
            time=at + 6,
        ),
    ]


def write(path: Path, *calls: list[Event], words: str = FULL) -> Path:
    file = JsonlFile(path, Words(words))
    for events in calls:
        for event in events:
            file(event)
    file.close()
    return path


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with two calls; no worker runs here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("OPENRTC_METRICS_JSONL", "OPENRTC_RECORDER_FOLDER", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return write(tmp_path / "events.jsonl", list_events("AJ_1", "ann"), list_events("AJ_2", "bob", 1_790_000_100.0))


def show(file: Path, *arguments: str) -> int:
    return main(["calls", *arguments, "--metrics-jsonl", str(file)])


def test_calls_are_listed_and_the_last_ones_only(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert show(file) == 0
    printed = capfd.readouterr().out
    for part in ("AJ_1", "AJ_2", "ann, carol", "12.5", "0.90 s", "ended: everybody has left"):
        assert part in printed
    assert show(file, "--last", "1") == 0
    printed = capfd.readouterr().out
    assert "AJ_1" not in printed and "the last 1 of 2 calls" in printed
    assert show(file, "--json") == 0
    calls = json.loads(capfd.readouterr().out)["calls"]
    assert [(one["job_id"], one["state"], one["turns"], one["tool_calls"]) for one in calls] == [
        ("AJ_1", "ended", 1, 1),
        ("AJ_2", "ended", 1, 1),
    ]


def test_one_call_is_told_with_its_words_stages_and_cost(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert show(file, "AJ_1") == 0
    printed = capfd.readouterr().out
    for part in (
        "routed   by room.prefix: the room name starts with 'support'",
        'said "hello"\n',
        'tool find({"number": 7}) returned "on its way" after 0.20 s',
        'heard "where is it", said "on its way"  [end of turn 0.50 s, first token 0.20 s, answered after 0.90 s]',
        "error in tool: ValueError: no order 4711 at agent.py:7",
        "used     llm_usage acme a-1: input_tokens 30",
        "record   openrtc-cost usd: 0.25",
        "ended    everybody has left, after 12.5 s",
    ):
        assert part in printed
    assert "AJ_2" not in printed and "words" not in printed
    assert show(file, "AJ_1", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert told["call"]["records"] == RECORDS and len(told["events"]) == 7
    assert told["call"]["usage"] == [USED] and told["call"]["why"] == "the room name starts with 'support'"


def test_where_words_are_off_it_says_so_and_how_to_turn_them_on(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    silent = write(tmp_path / "silent.jsonl", list_events("AJ_1", "ann"), words=NONE)
    assert "4711" not in silent.read_text() and "where is it" not in silent.read_text()
    for arguments in ([], ["AJ_1"]):
        assert show(silent, *arguments) == 0
        assert '[observe] words = "full"' in capfd.readouterr().out
    assert show(silent, "AJ_1") == 0
    assert "heard …, said …" in capfd.readouterr().out


def test_what_stands_badly_in_a_file_is_left_out(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    older = {"event": "turn_completed", "time": 5, "job_id": "AJ_0", "room": "r", "agent": "a", "heard": "in version 1"}
    odd = {"event": "call_ended", "job_id": "AJ_3", "people": 7, "usage": {"a": 1}, "records": [], "seconds": None}
    with file.open("a", encoding="utf-8") as opened:
        opened.write(f'no event\n["a list"]\n\n{json.dumps(older)}\n{json.dumps(odd)}\n{{"event": "call_sta')
    assert show(file) == 0
    printed = capfd.readouterr()
    assert "AJ_0" in printed.out and "AJ_3" in printed.out
    assert f"2 lines are no events in {file}, and left out" in printed.err
    assert show(file, "AJ_0") == 0
    assert 'heard "in version 1"' in capfd.readouterr().out


def test_rotated_files_are_read_as_well(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(file.with_name("events.jsonl.1"), list_events("AJ_0", "ann"))
    plain = write(file.with_name("old"), list_events("AJ_00", "ann"))
    file.with_name("events.jsonl.2.gz").write_bytes(gzip.compress(plain.read_bytes()))
    file.with_name("events.jsonl.bak").write_text("no event\n")
    assert [path.name for path in list_files(file)] == ["events.jsonl.2.gz", "events.jsonl.1", "events.jsonl"]
    assert show(file, "--json") == 0
    assert [one["job_id"] for one in json.loads(capfd.readouterr().out)["calls"]] == ["AJ_00", "AJ_0", "AJ_1", "AJ_2"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["calls"], "it is not known which file holds the events"),
        (["calls", "--metrics-jsonl", "nowhere.jsonl"], "there is no file nowhere.jsonl"),
        (["calls", "--metrics-jsonl", "."], "is no file: nothing can be read back from it"),
        (["calls", "AJ_9", "--metrics-jsonl", "events.jsonl"], "tells of no call 'AJ_9'"),
        (["calls", "forget", "--metrics-jsonl", "events.jsonl"], "whose calls are to be forgotten?"),
        (["calls", "AJ_1", "AJ_2", "--metrics-jsonl", "events.jsonl"], "one call at a time"),
        (["calls", "forget", "ann"], "it is not known which file holds the events"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    file: Path, arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capfd.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_a_person_is_forgotten_and_nobody_else(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write(file.with_name("events.jsonl.1"), list_events("AJ_0", "ann"))
    with file.open("a", encoding="utf-8") as opened:
        opened.write(
            json.dumps({"event": "call_routed", "job_id": "AJ_4", "reason": "as AJ_1"}) + '\n{"job_id": "AJ_1"'
        )
    file.chmod(0o600)
    folder = tmp_path / "recordings"
    (folder / "AJ_0").mkdir(parents=True)
    for name in ("AJ_1.ogg", "AJ_1.driver.ogg", "AJ_2.ogg", "AJ_11.ogg", "AJ_0/part.wav"):
        (folder / name).write_text("sound")
    monkeypatch.setenv("OPENRTC_RECORDER_FOLDER", str(folder))
    assert show(file, "forget", "ann") == 0
    printed = capfd.readouterr().out
    assert "forgot 2 calls of 'ann': 15 lines" in printed and "removed 3 recordings" in printed
    assert "AJ_1" not in file.read_text().replace("as AJ_1", "") and file.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["job_id"] for line in file.read_text().splitlines()] == ["AJ_2"] * 7 + ["AJ_4"]
    assert file.with_name("events.jsonl.1").read_text() == ""
    assert sorted(path.name for path in folder.iterdir()) == ["AJ_11.ogg", "AJ_2.ogg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "events.jsonl.1", "recordings"]
    assert show(file, "forget", "ann") == 1
    assert "tells of no call with 'ann'" in capfd.readouterr().err


def test_a_second_person_of_a_call_is_forgotten_with_it(file: Path) -> None:
    assert find_calls_of("carol", [file]) == ["AJ_1", "AJ_2"]
    assert forget_calls(file, ["AJ_1"]) == 7 and forget_calls(file, ["AJ_1"]) == 0


def test_workers_write_on_while_a_call_is_forgotten(file: Path) -> None:
    writers = [JsonlFile(file, Words(FULL)) for _ in range(2)]
    over = threading.Event()

    def go_on(writer: JsonlFile, number: int) -> None:
        for served in range(300):
            writer(WorkerStopped(served=number * 1000 + served))
            time.sleep(0.001)
        over.set()

    threads = [threading.Thread(target=go_on, args=(writer, number)) for number, writer in enumerate(writers)]
    for thread in threads:
        thread.start()
    for job_id in ("AJ_1", "AJ_2"):
        time.sleep(0.05)
        assert forget_calls(file, [job_id]) == 7
    for thread in threads:
        thread.join()
    for writer in writers:
        writer.close()
    served = [json.loads(line)["served"] for line in file.read_text().splitlines()]
    assert sorted(served) == [*range(300), *range(1000, 1300)], "nothing is lost or doubled"


def test_nothing_more_is_written_of_a_live_call_that_is_forgotten(tmp_path: Path) -> None:
    file = JsonlFile(tmp_path / "events.jsonl", Words(FULL))
    ann, bob = list_events("AJ_1", "ann"), list_events("AJ_2", "bob")
    for event in (*ann[:3], *bob[:3]):
        file(event)
    assert file.forget("ann") == ["AJ_1"]
    assert forget_calls(file.path, ["AJ_1"]) == 3
    for event in (*ann[3:], *bob[3:], *list_events("AJ_3", "ann")):
        file(event)
    file.close()
    written = [json.loads(line)["job_id"] for line in file.path.read_text().splitlines()]
    assert written == ["AJ_2"] * 7 + ["AJ_3"] * 7, "a later call is another one"


def test_a_file_that_is_rotated_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = JsonlFile(path, Words(FULL))
    for served in (1, 2):
        file(WorkerStopped(served=served))
        file.flush()
        path.rename(tmp_path / f"events.jsonl.{served}")
    file(WorkerStopped(served=3))
    file.close()
    for served, name in ((1, "events.jsonl.1"), (2, "events.jsonl.2"), (3, "events.jsonl")):
        assert json.loads((tmp_path / name).read_text())["served"] == served


def test_following_one_call_ends_with_it(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ann = list_events("AJ_5", "ann")
    write(file, ann[:3])
    rest = threading.Timer(0.6, lambda: write(file, list_events("AJ_6", "eve"), ann[3:]))
    rest.start()
    assert show(file, "AJ_5", "--follow") == 0
    rest.join()
    printed = capfd.readouterr().out
    assert printed.index('said "hello"') < printed.index('heard "where is it"') < printed.index("ended: everybody")
    assert show(file, "AJ_5", "--follow", "--json") == 0
    assert [json.loads(line)["job_id"] for line in capfd.readouterr().out.splitlines()] == ["AJ_5"] * 7


def test_recordings_that_cannot_be_removed_are_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "AJ_1.ogg").write_text("sound")
    monkeypatch.setattr(
        Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    with pytest.raises(OpenRTCError, match="cannot be removed: Permission denied"):
        remove_recordings(tmp_path, ["AJ_1"])
    assert remove_recordings(tmp_path / "nowhere", ["AJ_1"]) == []
