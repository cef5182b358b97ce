"""Child processes: fair, restarted, never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import openrtc_offline.child_pool as children
from openrtc_offline.child_pool import ChildError, ChildPool

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def echo_child_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture
def pool() -> Iterator[ChildPool]:
    made = ChildPool("echo_child", 2)
    yield made
    made.close()


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(pid: int) -> bool:
    end = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_running(pid)


async def test_no_child_runs_before_the_first_request(pool: ChildPool) -> None:
    assert pool.pids == []
    answer, payload = await pool.ask({"number": 1}, b"\x00\xff" * 100_000)
    assert answer["number"] == 1 and payload == b"\x00\xff" * 100_000
    assert pool.pids == [answer["pid"]]


async def test_a_payload_may_be_made_in_the_childs_thread(pool: ChildPool) -> None:
    _, payload = await pool.ask({}, lambda: threading.current_thread().name.encode())
    assert payload == b"openrtc-offline-child"
    with pytest.raises(ZeroDivisionError):
        await pool.ask({}, lambda: bytes(1 // 0))
    answer, _ = await pool.ask({"number": 2})
    assert answer["number"] == 2 and pool.pids == [answer["pid"]], "the child has not been ended for it"


async def test_no_more_children_are_started_than_allowed(pool: ChildPool) -> None:
    answers = await asyncio.gather(*(pool.ask({"do": "sleep", "seconds": 0.2}) for _ in range(6)))
    assert len({answer["pid"] for answer, _ in answers}) == 2 == len(pool.pids)


async def test_requests_are_answered_first_come_first_served() -> None:
    pool, done = ChildPool("echo_child"), list[int]()

    async def ask(number: int) -> None:
        await pool.ask({"number": number})
        done.append(number)

    await asyncio.gather(*(ask(number) for number in range(20)))
    assert done == list(range(20))
    await asyncio.to_thread(pool.close)


async def test_a_failure_to_answer_is_told_and_the_child_goes_on(pool: ChildPool) -> None:
    with pytest.raises(ChildError, match="ValueError: asked to fail"):
        await pool.ask({"do": "fail"})
    pids = pool.pids
    await pool.ask({})
    assert pool.pids == pids


async def test_a_request_in_flight_when_its_child_dies_fails_and_the_next_one_gets_a_new_child() -> None:
    pool = ChildPool("echo_child")
    first, _ = await pool.ask({})
    with pytest.raises(ChildError, match="ended with code 3"):
        await pool.ask({"do": "die"})
    second, _ = await pool.ask({})
    assert second["pid"] != first["pid"]
    await asyncio.to_thread(pool.close)


async def test_a_child_that_cannot_start_says_why() -> None:
    pool = ChildPool("openrtc_no_such_module")
    with pytest.raises(ChildError, match=r"openrtc_no_such_module ended with code 1: .*No module named"):
        await pool.ask({})
    await asyncio.to_thread(pool.close)


async def test_a_module_of_the_working_folder_is_no_module_of_a_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pool: ChildPool
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not the right one')")
    monkeypatch.chdir(tmp_path)
    await pool.ask({})


async def test_no_child_gets_a_secret(monkeypatch: pytest.MonkeyPatch, pool: ChildPool) -> None:
    monkeypatch.setenv("LIVEKIT_API_SECRET", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("OFFLINE_TEST", "kept")
    answer, _ = await pool.ask({})
    environ = psutil.Process(answer["pid"]).environ()
    assert environ["OFFLINE_TEST"] == "kept" and "secret" not in environ.values()


async def test_a_child_that_was_killed_while_idle_is_replaced() -> None:
    pool = ChildPool("echo_child")
    first, _ = await pool.ask({})
    os.kill(first["pid"], signal.SIGKILL)
    await asyncio.sleep(0.2)
    second, _ = await pool.ask({})
    assert second["pid"] != first["pid"]
    await asyncio.to_thread(pool.close)


async def test_a_child_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "ANSWER_SECONDS", 1.0)
    pool = ChildPool("echo_child")
    with pytest.raises(ChildError, match="ended with code -9"):
        await pool.ask({"do": "sleep", "seconds": 60})
    await asyncio.to_thread(pool.close)


async def test_a_request_that_is_cancelled_confuses_nobody_elses_answer() -> None:
    pool = ChildPool("echo_child")
    await pool.ask({})
    busy = asyncio.create_task(pool.ask({"number": 1, "do": "sleep", "seconds": 0.3}))
    waiting = asyncio.create_task(pool.ask({"number": 2, "do": "die"}))
    await asyncio.sleep(0.1)
    busy.cancel()
    waiting.cancel()
    answer, _ = await pool.ask({"number": 3})
    assert answer["number"] == 3
    await asyncio.to_thread(pool.close)


async def test_what_a_library_prints_does_not_break_the_messages(pool: ChildPool) -> None:
    answer, _ = await pool.ask({"number": 5, "do": "print"})
    assert answer["number"] == 5


async def test_closing_leaves_no_child_and_fails_what_waits() -> None:
    pool = ChildPool("echo_child")
    answer, _ = await pool.ask({})
    busy = asyncio.create_task(pool.ask({"do": "sleep", "seconds": 30}))
    waiting = asyncio.create_task(pool.ask({}))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(pool.close)
    await asyncio.to_thread(pool.close)
    assert not is_running(answer["pid"])
    for request in (busy, waiting):
        with pytest.raises(ChildError):
            await request
    with pytest.raises(ChildError, match="stopping"):
        await pool.ask({})


def test_a_child_ends_when_the_worker_is_killed() -> None:
    program = textwrap.dedent(
        """
        import asyncio, time
        from openrtc_offline.child_pool import ChildPool
        pool = ChildPool("echo_child")
        print(asyncio.run(pool.ask({}))[0]["pid"], flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        child = int(worker.stdout.readline())
        assert is_running(child)
        worker.kill()
    assert wait_until_gone(child)
