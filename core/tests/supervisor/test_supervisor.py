"""The supervisor and its workers, in real processes: a worker here is a few lines of Python without livekit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from waiting import PATIENCE_SECONDS, poll_until

pytestmark = pytest.mark.process

PROGRAM = """
import asyncio, fcntl, logging, os, sys, threading
from pathlib import Path
from openrtc.supervisor import prefork, supervisor
from openrtc.worker.process_exit import REPLACE_ME
from openrtc.worker.control_channel import LOST, OFFER, REGISTERED, REPLACE, ControlChannel
from openrtc.speedups.imports import finish_imports
from openrtc.supervisor.fork_server import ForkServer
from openrtc.supervisor.process_role import FORK_SERVER, SPAWNER, WORKER, take_role

HOW = Path(sys.argv[1])  # what a worker does: one word for each start, the last one for all further ones
supervisor.FIRST_DELAY = 0.2
supervisor.KILL_AFTER = 1.0
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)


def work(role, connection):
    with HOW.open("r+") as how:
        fcntl.flock(how, fcntl.LOCK_EX)  # another one may start at the same time
        words = how.read().split()
        if len(words) > 1:
            how.seek(0)
            how.truncate()
            how.write(" ".join(words[1:]))
    channel = ControlChannel(connection, role.place)
    channel.watch()
    return asyncio.run(serve(words[0], channel))


async def serve(word, channel):
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    stop = lambda code: lambda: over.done() or over.set_result(code)
    drain = (lambda: None) if word in ("busy", "stuck") else stop(0)
    note = lambda noted: print("noted:", noted, flush=True)
    channel.follow_orders(drain, (lambda: None) if word == "stuck" else stop(3), note=note)
    if word.startswith("exit"):
        return int(word[4:])
    if word == "lost":
        assert channel.place.keep.agents == {"desk": ["my-agent", "1.0"]}
        channel.tell(LOST, names=["desk"], lines=["agent 'desk' of my-agent 1.1 is broken at desk.py:3"])
        return 2
    default = "other" if word == "other" else "desk"
    channel.tell(OFFER, offer={"agents": {"desk": ["my-agent", "1.0"]}, "default": default})
    channel.report(REGISTERED)
    if word == "drift":
        while not over.done():
            channel.ask_to_roll("what is installed")
            await asyncio.sleep(0.3)
    if word == "abort":
        os.abort()
    if word == "restart":
        channel.report(REPLACE)
        await asyncio.sleep(0.5)
        return REPLACE_ME
    return await over


role = take_role(os.environ)
environ = dict(os.environ)
if role is None:
    sys.exit(supervisor.supervise(int(sys.argv[2]), environ))
import socket, signal
connection = socket.socket(fileno=role.descriptor)
if role.name == WORKER:
    sys.exit(work(role, connection))
for number in prefork.IGNORED:
    signal.signal(number, signal.SIG_IGN)
if HOW.read_text().startswith("broken"):
    sys.exit(7)
if "threads" in sys.argv:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
if role.name == FORK_SERVER and prefork.why_not_fork():
    print("separately:", prefork.why_not_fork(), flush=True)
    prefork._start_again_as(SPAWNER, connection, environ)
if role.name == SPAWNER:
    sys.exit(prefork._spawn_workers(connection, environ))
finish_imports()
server = ForkServer(connection, lambda *given: prefork._fork(work, *given))
server.report("ready", how="forked", seconds=0.0)
server.run()
"""


class Supervised:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, does: str, *options: str) -> None:
        (folder / "program.py").write_text(PROGRAM)
        self.how = folder / "how"
        self.how.write_text(does)
        self.path = folder / "log"
        command = [sys.executable, str(folder / "program.py"), str(self.how), *options]
        with self.path.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def log(self) -> str:
        return self.path.read_text()

    def wait_for(self, pattern: str, count: int = 1) -> list[str]:
        """Wait until this many lines match, and return them."""
        until = time.monotonic() + PATIENCE_SECONDS
        while len(found := re.findall(pattern, self.log())) < count:
            assert time.monotonic() < until, f"no {pattern!r} in:\n{self.log()}"
            time.sleep(0.02)
        return found

    def pids(self) -> dict[int, int]:
        """Return the pid of the last worker of each number."""
        return {int(a): int(b) for a, b in re.findall(r"worker (\d+) \(pid (\d+)\) is registered", self.log())}

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    started: list[Supervised] = []

    def start(does: str, *options: str) -> Supervised:
        started.append(Supervised(tmp_path, does, *options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def test_workers_are_forked_and_stopped_together(supervise: Callable[..., Supervised]) -> None:
    two = supervise("serve", "2")
    two.wait_for("is registered", 2)
    family = two.family()
    assert len(family) == 3 and len({process.ppid() for process in family}) == 2
    assert two.stop() == 0
    assert not [process for process in family if process.is_running()]


def test_a_worker_that_aborts_is_replaced_at_once_and_then_after_growing_delays(
    supervise: Callable[..., Supervised],
) -> None:
    one = supervise("abort abort abort serve", "1")
    one.wait_for("is registered", 4)
    assert one.wait_for(r"has died \(SIGABRT\): a new one (.*)", 3) == ["at once", "in 0.2 s", "in 0.4 s"]
    assert not [process for process in one.family() if process.status() == psutil.STATUS_ZOMBIE]
    assert one.stop() == 0


def test_a_killed_worker_leaves_no_zombie_and_gets_its_number_again(supervise: Callable[..., Supervised]) -> None:
    two = supervise("serve", "2")
    two.wait_for("is registered", 2)
    doomed = two.pids()[1]
    os.kill(doomed, signal.SIGKILL)
    two.wait_for("is registered", 3)
    assert sorted(two.pids()) == [0, 1] and two.pids()[1] != doomed
    assert not psutil.pid_exists(doomed)
    assert two.stop() == 0


def test_a_mistake_in_the_settings_stops_everything_with_its_code(supervise: Callable[..., Supervised]) -> None:
    assert supervise("exit2", "2").process.wait(PATIENCE_SECONDS) == 2


def test_a_parent_that_cannot_load_ends_the_supervisor_with_its_code(supervise: Callable[..., Supervised]) -> None:
    assert supervise("broken", "2").process.wait(PATIENCE_SECONDS) == 7


def test_the_same_code_later_is_a_death_like_others(supervise: Callable[..., Supervised]) -> None:
    one = supervise("abort exit2 serve", "1")
    one.wait_for("is registered", 2)
    one.wait_for(r"has died \(exit code 2\)")
    assert one.stop() == 0


def test_a_worker_that_wants_to_be_replaced_has_a_successor_before_it_leaves(
    supervise: Callable[..., Supervised],
) -> None:
    one = supervise("restart serve", "1")
    one.wait_for(r"worker 0 .* has left \(exit code 75\)")
    log = one.log()
    assert log.index("worker 0 (pid") < log.index("takes no more calls") < log.index("worker 1 (pid")
    assert log.index("worker 1 (pid") < log.index("has left")
    assert "has died" not in log
    assert one.stop() == 0


def test_a_second_signal_ends_what_the_first_leaves_running(supervise: Callable[..., Supervised]) -> None:
    one = supervise("busy", "1")
    one.wait_for("is registered")
    one.process.terminate()
    one.wait_for("stopping: ")
    time.sleep(0.3)
    assert one.process.poll() is None
    assert one.stop() == 3


def test_a_worker_that_does_not_even_heed_a_second_signal_is_killed(supervise: Callable[..., Supervised]) -> None:
    one = supervise("stuck", "1")
    one.wait_for("is registered")
    family = one.family()
    one.process.terminate()
    one.wait_for("stopping: ")
    assert one.stop() == 3
    assert not [process for process in family if process.is_running()]


def test_a_hang_up_replaces_one_after_the_other(supervise: Callable[..., Supervised]) -> None:
    two = supervise("serve", "2")
    two.wait_for("is registered", 2)
    before = set(two.pids().values())
    two.process.send_signal(signal.SIGHUP)
    two.wait_for("all workers are replaced")
    events = re.findall(r"(is registered|has left)", two.log())
    assert events == ["is registered"] * 2 + ["is registered", "has left"] * 2
    poll_until(lambda: len(two.family()) == 3)  # the old parent is gone
    assert not [pid for pid in before if psutil.pid_exists(pid)]
    assert two.stop() == 0


def test_a_hang_up_that_finds_something_broken_changes_nothing(supervise: Callable[..., Supervised]) -> None:
    one = supervise("serve", "1")
    one.wait_for("is registered")
    before = one.pids()
    stops = "the roll-out stops, and the workers go on as they are: "
    for count, (does, told) in enumerate(
        (
            ("broken", "it cannot be loaded: the process has ended (exit code 7)"),
            ("exit2", "the new worker did not register: it has ended (exit code 2) before that"),
            ("lost", "agent 'desk' of my-agent 1.1 is broken at desk.py:3"),
        ),
        1,
    ):
        one.how.write_text(does)
        one.process.send_signal(signal.SIGHUP)
        one.wait_for(re.escape(stops + told))
        one.wait_for("noted: ", count)
    assert "'lost': ['desk'], 'emits': True}" in one.log() and "has died" not in one.log()
    assert one.pids() == before and psutil.pid_exists(before[0])
    one.how.write_text("serve")
    os.kill(before[0], signal.SIGKILL)
    one.wait_for("is registered", 2)
    one.how.write_text("other")
    one.process.send_signal(signal.SIGHUP)
    one.wait_for("loading everything again", 4)
    one.process.send_signal(signal.SIGHUP)
    one.wait_for("all workers are replaced", 2)
    one.wait_for("calls that no rule decides go to 'other', and before to 'desk'")
    assert one.stop() == 0


def test_a_worker_that_finds_other_packages_lets_all_be_replaced_but_not_twice_in_vain(
    supervise: Callable[..., Supervised],
) -> None:
    one = supervise("drift lost serve", "1")
    one.wait_for("other packages are installed: loading everything again")
    one.wait_for("the roll-out stops")
    time.sleep(1.0)
    assert one.log().count("loading everything again") == 1
    one.process.send_signal(signal.SIGHUP)  # an operator tries in any case
    one.wait_for("all workers are replaced")
    assert one.stop() == 0


def test_nothing_but_what_is_live_outlives_a_supervisor_that_is_killed(supervise: Callable[..., Supervised]) -> None:
    two = supervise("busy serve", "2")
    two.wait_for("is registered", 2)
    family = two.family()
    assert len(family) == 3
    two.process.kill()
    two.process.wait()
    two.wait_for("the supervisor is gone", 2)
    poll_until(lambda: sum(one.is_running() for one in family) < 2)
    time.sleep(0.5)
    (busy,) = (one for one in family if one.is_running())
    busy.kill()


def test_workers_whose_parent_is_killed_are_started_anew(supervise: Callable[..., Supervised]) -> None:
    one = supervise("serve", "1")
    one.wait_for("is registered")
    old = one.pids()[0]
    os.kill(psutil.Process(old).ppid(), signal.SIGKILL)
    one.wait_for("is registered", 2)
    assert one.pids()[0] != old
    assert one.stop() == 0


def test_with_more_than_one_thread_workers_are_started_separately(supervise: Callable[..., Supervised]) -> None:
    two = supervise("serve", "2", "threads")
    two.wait_for("is registered", 2)
    assert "separately: a package has started a thread at import: Thread-1" in two.log()
    doomed = two.pids()[0]
    os.kill(doomed, signal.SIGKILL)
    two.wait_for("is registered", 3)
    assert two.stop() == 0


@pytest.mark.parametrize(("seconds", "forks"), [(0.1, True), (30.0, False)])
def test_a_thread_that_is_about_to_end_is_waited_for(seconds: float, forks: bool) -> None:
    code = f"""
import threading
from openrtc.supervisor.prefork import why_not_fork
threading.Thread(target=threading.Event().wait, args=({seconds},), name="last", daemon=True).start()
print(why_not_fork())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert said == ("None" if forks else "a package has started a thread at import: last")
