"""Each owner's blocking code has threads of its own, which end with it and keep nothing from ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from openrtc.threads import ThreadGroup, ThreadOwner, current_threads


def list_names(prefix: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return condition()


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> ThreadOwner:
    return ThreadOwner(request.node.name)


def test_work_runs_in_the_owners_name_and_answers(owner: ThreadOwner) -> None:
    seen = owner.own.submit(lambda: (current_threads.get(), threading.current_thread().name)).result(5)
    assert seen == (owner, owner.name)
    assert threading.current_thread().daemon is False
    with pytest.raises(SystemExit):
        owner.own.submit(lambda: exit(3)).result(5)


def test_one_after_the_other_uses_one_thread(owner: ThreadOwner) -> None:
    for _ in range(50):
        owner.own.submit(int).result(5)
    assert len(list_names(owner.name)) == 1


def test_work_beyond_the_most_waits_and_is_done_later(owner: ThreadOwner) -> None:
    group, go = ThreadGroup(owner, "waits", 2), threading.Event()
    futures: list[Future[bool]] = [group.submit(go.wait, 5) for _ in range(5)]
    assert wait_for(lambda: sum(future.running() for future in futures) == 2)
    assert len(group.unfinished) == 5
    assert futures[-1].cancel()
    go.set()
    assert [future.result(5) for future in futures[:-1]] == [True] * 4
    assert len(list_names("waits")) == 2
    assert wait_for(lambda: not group.unfinished)


def test_a_closed_group_ends_its_threads_and_still_takes_work(owner: ThreadOwner) -> None:
    go = threading.Event()
    running = owner.own.submit(go.wait, 5)
    owner.part("plugin").own.submit(int).result(5)
    owner.close()
    assert wait_for(lambda: len(list_names(owner.name)) == 1), "only the one that works is left"
    assert owner.own.submit(lambda: "late").result(5) == "late"
    go.set()
    assert running.result(5)
    assert wait_for(lambda: not list_names(owner.name))


def test_a_hundred_owners_leave_no_thread(owner: ThreadOwner) -> None:
    before = threading.active_count()
    for number in range(100):
        one = ThreadOwner(f"{owner.name}-{number}")
        for group in (one.own, one.names, one.framework):
            group.submit(int).result(5)
        one.close()
    assert wait_for(lambda: threading.active_count() <= before)


def test_without_another_thread_those_that_there_are_do_the_work(
    owner: ThreadOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    first = owner.own.submit(go.wait, 5)

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    second = owner.own.submit(int)
    with pytest.raises(RuntimeError, match="can't start"):
        owner.names.submit(int)
    assert not owner.names.unfinished
    go.set()
    assert first.result(5) is True
    assert second.result(5) == 0
