"""The channel between a worker and its supervisor, and the role that a process has."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest

from openrtc.child_environment import PROCESS_ROLE
from openrtc.settings.config import Config, WorkerSettings
from openrtc.supervisor.prefork import offset_port
from openrtc.supervisor.process_role import WORKER, ProcessRole, take_role
from openrtc.worker.control_channel import DRAIN, LEAVE, REPLACE, STOP, ControlChannel, Messages, Place
from openrtc.worker.offer import Offer
from openrtc.worker.process_exit import SUPERVISOR_GONE
from openrtc.worker.stop_signals import StopSignals


async def test_orders_come_in_also_those_that_were_given_before_anybody_followed(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    done: list[str] = []
    ours.send(DRAIN + DRAIN)
    ControlChannel(theirs).follow_orders(lambda: done.append("drain"), lambda: done.append("stop"))
    ours.send(STOP)
    await asyncio.sleep(0.1)
    asyncio.get_running_loop().remove_reader(theirs)
    assert done == ["drain", "drain", "stop"]


def test_a_worker_asks_to_be_replaced_and_a_supervisor_that_is_gone_hears_nothing(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    channel = ControlChannel(theirs)
    channel.report(REPLACE)
    assert ours.recv(10) == REPLACE
    ours.close()
    channel.report(REPLACE)


@pytest.mark.process
def test_a_worker_whose_supervisor_is_gone_ends_where_it_follows_no_orders_yet() -> None:
    code = (
        "import socket, time; from openrtc.worker.control_channel import ControlChannel\n"
        "ours, theirs = socket.socketpair()\n"
        "channel = ControlChannel(theirs)\n"
        "channel.call_when_gone(lambda: print('the port is free', flush=True))\n"
        "channel.watch()\n"
        "ours.close()\n"
        "time.sleep(30)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (SUPERVISOR_GONE, "the port is free\n")
    assert "the supervisor is gone" in done.stderr


async def test_notes_and_news_are_json_between_the_words_also_in_pieces(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    heard: list[object] = []
    channel = ControlChannel(theirs)
    channel.follow_orders(lambda: heard.append("drain"), lambda: heard.append("stop"), note=heard.append)
    for piece in (DRAIN + b'{"failed": "two', b' words", "emits": true}\n' + STOP, b"?"):
        ours.send(piece)
        await asyncio.sleep(0.05)
    assert heard == ["drain", {"failed": "two words", "emits": True}, "stop"]
    channel.ask_to_roll("abc")
    channel.report(REPLACE)
    assert list(Messages().feed(ours.recv(1000))) == [{"event": "roll", "installed": "abc"}, REPLACE]
    asyncio.get_running_loop().remove_reader(theirs)


def test_only_orders_to_stop_count_as_such_and_the_end_of_the_supervisor_does(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    channel = ControlChannel(theirs)
    assert channel.count_unread() == 0
    ours.send(LEAVE + DRAIN + b'{"failed": "sss"}\n' + STOP)
    assert channel.count_unread() == 2
    theirs.recv(100)
    ours.close()
    assert channel.count_unread() == 1


def test_a_process_takes_its_role_once_and_leaves_nothing_for_others_to_inherit(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    keep = Offer(agents={"desk": ["pkg", "1.0"]}, default="desk", rules=["default"])
    place = Place(number=3, slot=1, doors=(ours.fileno(),), answers=False, keep=keep)
    role = ProcessRole(WORKER, theirs.fileno(), place)
    role.let_inherit()
    environ = role.put_into({"HOME": "/"})
    assert take_role(environ) == role
    assert environ == {"HOME": "/"} and PROCESS_ROLE not in environ
    assert not ours.get_inheritable() and not theirs.get_inheritable()
    assert take_role(environ) is None


def test_each_further_worker_has_the_next_health_port() -> None:
    config = Config(worker=WorkerSettings(port=8081))
    assert [offset_port(config, number).worker.port for number in range(3)] == [8081, 8082, 8083]
    assert offset_port(Config(worker=WorkerSettings(port=0)), 2).worker.port == 0


@pytest.mark.process
def test_the_supervisor_imports_neither_livekit_nor_packages() -> None:
    code = (
        "import sys, openrtc.supervisor.supervisor; print([name for name in sys.modules if name.startswith('livekit')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_supervised_worker_takes_no_number_of_signals_for_the_order_to_end_live_calls(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    stop = StopSignals(ControlChannel(theirs))
    ours.send(DRAIN)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
    assert stop.first.done() and not stop.second.done()
    assert ours.recv(10) == REPLACE
    ours.send(STOP)
    await asyncio.wait_for(stop.second, 60.0)
    stop.close()
    loop = asyncio.get_running_loop()
    loop.remove_reader(theirs)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
