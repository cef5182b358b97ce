"""`openrtc pause`, `resume`, `end` and `drain`: which workers are meant, and what is said of each."""

from __future__ import annotations

from typing import Any

import pytest

from openrtc.cli import main as program
from openrtc.observe import snapshots

CALLS = [{"job_id": "AJ_1", "room": "support-1"}, {"job_id": "AJ_2", "room": "two"}, {"job_id": "AJ_3", "room": "two"}]
Sent = list[tuple[int, dict[str, Any]]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Two workers, of which the second has no calls and refuses what names an agent; what is ordered of them."""
    orders: Sent = []

    def send_order(pid: int, order: dict[str, Any]) -> dict[str, Any]:
        orders.append((pid, order))
        return {"refused": "there is no agent"} if pid == 8 and "agent" in order else {"done": "it is done"}

    monkeypatch.setattr(snapshots, "read_snapshots", lambda: [{"pid": 7, "calls": CALLS}, {"pid": 8, "calls": []}])
    monkeypatch.setattr(snapshots, "send_order", send_order)
    return orders


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_an_agent_is_paused_in_each_worker_that_has_it(
    sent: Sent, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    order = {"order": command, "agent": "support"}
    assert program.main([command, "support"]) == 0
    assert sent == [(7, order), (8, order)]
    assert capsys.readouterr() == ("worker 7: it is done\n", "")
    assert program.main([command, "support", "--worker", "8"]) == 1
    assert capsys.readouterr() == ("", "openrtc: worker 8: there is no agent\n")


def test_a_call_is_found_by_its_job_or_by_its_room(sent: Sent, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["end", "AJ_2"]) == program.main(["end", "support-1"]) == 0
    assert sent == [(7, {"order": "end", "job_id": "AJ_2"}), (7, {"order": "end", "job_id": "AJ_1"})]
    capsys.readouterr()
    assert program.main(["end", "two"]) == program.main(["end", "AJ_9"]) == 2
    assert capsys.readouterr().err == (
        "openrtc: room 'two' has 2 calls (choose one: AJ_2, AJ_3)\n"
        "openrtc: there is no call 'AJ_9' (openrtc top shows the calls of all workers)\n"
    )


def test_which_worker_drains_is_said_where_several_run(sent: Sent, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["drain"]) == 2
    assert program.main(["drain", "--worker", "9"]) == 2
    assert capsys.readouterr().err == (
        "openrtc: 2 workers run on this machine (--worker with one of 7, 8, or --worker all)\n"
        "openrtc: there is no worker 9 (there are 7, 8)\n"
    )
    assert program.main(["drain", "--worker", "8"]) == program.main(["drain", "--worker", "all"]) == 0
    assert sent == [(8, {"order": "drain"}), (7, {"order": "drain-all"}), (8, {"order": "drain-all"})]


def test_without_a_worker_each_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(snapshots, "read_snapshots", list)
    for words in (["pause", "x"], ["resume", "x"], ["end", "x"], ["drain"]):
        assert program.main(words) == 2
        assert capsys.readouterr().err.startswith("openrtc: no worker of this user runs on this machine: ")
