from __future__ import annotations

import math
import socket
from pathlib import Path
from typing import Any

import pytest

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import LoadedAgent
from openrtc.doctor.machine import check_event_file, check_ports, check_workers, judge_descriptors
from openrtc.doctor.processes import Process, find_listener, find_orphans
from openrtc.model.check_result import CheckResult
from openrtc.observe.sockets import bind_private, make_private_folder, snapshot_path
from openrtc.settings.config import Config, WorkerSettings

READY = {"state": "ready", "sessions": 1, "max_sessions": 5, "load": 0.1, "load_limit": 0.7, "url": "ws://x"}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def judge(workers: list[dict[str, Any]], processes: list[Process] | None = None) -> dict[str, CheckResult]:
    return {one.message: one for one in check_workers(workers, processes or [])}


def settings(**worker: Any) -> Config:
    return Config(worker=WorkerSettings(**worker))


def test_a_port_that_is_taken_is_a_fault_with_a_free_one_and_a_workers_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        holder = find_listener(port)
        (found,) = check_ports(settings(port=port), [])
        assert found.verdict == "fault" and "ddress already in use" in found.message
        assert "--port " in found.fix
        if holder is not None:  # this system tells who listens
            assert f"with pid {holder.pid}" in found.message
            (own,) = check_ports(settings(port=port), [{"pid": holder.pid}])
            assert own.verdict == "ok"
    (free,) = check_ports(settings(port=port), [])
    assert free.verdict == "ok"


def test_a_host_of_another_machine_is_a_fault_of_the_host() -> None:
    (found,) = check_ports(settings(host="192.0.2.1", port=0x1F91), [])
    assert found.verdict == "fault" and found.fix.startswith("correct --host")


@pytest.mark.parametrize(
    ("limits", "verdict", "said"),
    [
        ((20_000, math.inf), "ok", "of 20000"),
        ((1024, 20_000.0), "ok", "raises its limit from 1024"),
        ((1024, 1024.0), "warning", "of max_sessions = 50 fit"),
        ((200, 200.0), "fault", "a worker with one session needs"),
    ],
)
def test_descriptors_are_held_against_the_sessions(limits: tuple[int, float], verdict: str, said: str) -> None:
    cast = LoadedAgent(name="panel", member_count=4)
    found = judge_descriptors(limits, 10, Catalog((cast,)), Config())
    assert found.verdict == verdict and said in found.message
    assert verdict == "ok" or "ulimit -Hn" in found.fix


def test_a_cast_needs_the_descriptors_of_all_its_members() -> None:
    one, four = (
        judge_descriptors((99_999, 99_999.0), 10, Catalog((LoadedAgent(name="a", member_count=count),)), Config())
        for count in (1, 4)
    )
    assert "50 sessions need" in one.message and one.message != four.message


def test_workers_that_take_no_calls_or_do_not_answer_are_told() -> None:
    found = judge(
        [
            {"pid": 11, **READY},
            {"pid": 12, **READY, "sessions": 5},
            {"pid": 13, **READY, "state": "draining"},
            {"pid": 14, "state": "does not answer", "calls": []},
        ]
    )
    assert [one.verdict for one in found.values()] == ["ok", "warning", "warning", "fault"]
    assert list(found)[1] == "the worker with pid 12 takes no calls now: all 5 sessions are taken"
    assert "kill 14" in list(found.values())[3].fix


@pytest.mark.usefixtures("runtime_folder")
def test_sockets_of_workers_that_are_gone_are_told_with_the_command_that_removes_them() -> None:
    folder = make_private_folder()
    bind_private(snapshot_path(4_000_000), socket.SOCK_STREAM).close()
    found = judge([])["1 socket is left of workers that are gone"]
    assert (found.verdict, found.fix) == ("warning", f"rm {folder}/4000000.sock")
    folder.chmod(0o755)
    (message,) = (text for text in judge([]) if "entered by others" in text)
    assert judge([])[message].fix == f"chmod 700 {folder}"


def test_parts_of_workers_are_orphans_where_no_python_is_their_parent() -> None:
    init, worker = Process(1, 0, ["/sbin/init"]), Process(20, 1, ["/usr/bin/python3", "/bin/openrtc", "start"])
    child = Process(21, 20, ["/usr/bin/python3", "-c", "spawn_main"], is_part=True)
    left = Process(22, 1, ["/usr/bin/python3", "-c", "spawn_main"], is_part=True)
    lost = Process(23, 99, ["/usr/bin/livekit-server"], is_part=True)
    assert find_orphans([init, worker, child, left, lost]) == [left, lost]
    found = judge([], [init, left])
    assert found["python3 with pid 22 is left of a program that is gone"].fix == "kill 22"


def test_a_file_for_events_has_to_be_one_that_can_be_written(tmp_path: Path) -> None:
    def find(path: Path | str) -> list[str]:
        return [one.verdict for one in check_event_file(settings(metrics_jsonl=str(path)))]

    assert find("") == []
    assert find(tmp_path / "events.jsonl") == ["ok"]
    assert find(tmp_path) == find(tmp_path / "none" / "events.jsonl") == ["fault"]
