"""``openrtc start`` and an import that hangs: the worker begins again without it, and answers meanwhile."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from openrtc.server.settings import find_free_port
from waiting import poll_until

if TYPE_CHECKING:
    from conftest import Site
    from e2e.worker_template import ForkedProcess

pytestmark = pytest.mark.process

SERVER = {"LIVEKIT_URL": "ws://127.0.0.1:9", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret" * 6}
SERVER_LOST = 4
HANG = "\nimport time; time.sleep(600)"


def start(site: Site, *options: str) -> subprocess.CompletedProcess[str]:
    options = ("--allow", ",".join(site.distributions), "--import-seconds", "2", *options)
    return site.run("start", "--port", "0", "--max-retry", "0", *options, env=SERVER)


def test_a_worker_begins_again_without_each_package_that_hangs(site: Site, agent_source: str) -> None:
    # A PyDLL keeps the interpreter's lock: no Python can run any more, no signal's handler either.
    locked = "\nimport ctypes\nctypes.PyDLL(None).sleep(600)"
    site.add("first-hung", agents={"aa": "first_hung:X"}, files={"first_hung.py": locked})
    site.add("my-agent", agents={"helpdesk": "my_agent:Support"}, files={"my_agent.py": agent_source})
    site.add("second-hung", agents={"zz": "second_hung:X"}, files={"second_hung.py": HANG})
    resource = f"""
        from openrtc import ResourceSpec, hookimpl

        def load():
            {HANG.strip()}

        @hookimpl
        def openrtc_resources():
            return [ResourceSpec(key="voice", load=load)]
    """
    site.add("third-hung", plugins={"pp": "third_hung"}, files={"third_hung.py": resource})
    done = start(site)
    assert done.returncode == SERVER_LOST, done.stderr
    log = done.stderr
    reason = "its import had not ended after 2 seconds"
    name = 'first-hung 1.0 (entry point "aa", first_hung:X)'
    assert log.count(f"openrtc: {name}: {reason}: the worker begins again without it") == 1
    assert f'File "{site.folder}/first_hung.py", line 3 in <module>' in log
    assert f"aa of first-hung is broken: {reason} (" in log
    place = f"{site.folder}/second_hung.py:2"
    name = 'second-hung 1.0 (entry point "zz", second_hung:X)'
    assert log.count(f"{name}: {reason} at {place}: the worker begins again without it") == 1
    assert log.count(f"zz of second-hung is broken: {reason} at {place} (") == 2  # it is still left out the last time
    reason = "the loading of the resource 'voice' had not ended after 2 seconds"
    assert log.count(f"third-hung: {reason} at {site.folder}/third_hung.py:5: the worker begins again") == 1
    assert log.count(f"third-hung:pp of third-hung is broken: {reason}") == 1
    assert "agents: helpdesk; default: helpdesk" in log
    assert "Traceback" not in log


def test_a_supervisor_begins_again_without_a_package_that_hangs(site: Site) -> None:
    site.add("my-hung", agents={"aa": "my_hung:X"}, files={"my_hung.py": HANG})
    done = start(site, "--processes", "1")
    reason = f"its import had not ended after 2 seconds at {site.folder}/my_hung.py:2"
    assert f"my-hung: {reason}: the workers' parent process is started again without it" in done.stderr
    assert f"aa of my-hung is broken: {reason} (" in done.stderr
    assert done.returncode == 2, done.stderr
    assert "no agent is ready to take calls" in done.stderr


def test_a_worker_that_is_told_to_stop_while_a_resource_hangs_ends(site: Site, agent_source: str) -> None:
    site.add("my-agent", agents={"helpdesk": "my_agent:Support"}, files={"my_agent.py": agent_source})
    workers = {hang: begin_to_hang(site, f"my-hung-{number}", hang) for number, hang in enumerate(HANGS)}
    try:
        codes = {hang: worker.wait(60) for hang, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.kill()
    for number, hang in enumerate(HANGS):
        log = (site.work / f"my-hung-{number}.log").read_text()
        told = f"my-hung-{number}: the loading of the resource 'voice' has not ended, and the worker is told to stop: "
        assert f"{told}it ends" in log and "begins again" not in log, f"{hang}\n{log}"
    assert set(codes.values()) == {0}, codes


HANGS = (
    "begin(); time.sleep(600)",
    "begin(); await asyncio.sleep(600)",
    # It keeps the interpreter's lock, and works until the worker ends: not before its time is over.
    "time.sleep(1.5); begin(); re.match('(a+)+$', 'a' * 60 + 'b')",
)


def begin_to_hang(site: Site, name: str, hang: str) -> ForkedProcess:
    """Start a worker with a resource that hangs, and that sends SIGTERM to the worker 0.3 s later; it has a log."""
    module = name.replace("-", "_")
    resource = f"""
        import asyncio, os, re, subprocess, time
        from openrtc import ResourceSpec, hookimpl

        def begin():
            subprocess.Popen(["sh", "-c", f"sleep 0.3; kill {{os.getpid()}}"])

        {"async " * ("await" in hang)}def load():
            {hang}

        @hookimpl
        def openrtc_resources():
            return [ResourceSpec(key="voice", load=load)]
    """
    site.add(name, plugins={"pp": module}, files={f"{module}.py": resource})
    options = ("--port", "0", "--allow", f"my-agent,{name}", "--import-seconds", "4", "--max-retry", "0")
    return site.start("start", *options, env=SERVER, stderr=site.work / f"{name}.log")


@pytest.mark.parametrize("options", [(), ("--processes", "1")])
def test_while_an_import_hangs_the_health_port_answers_and_sigterm_ends_all_at_once(
    site: Site, options: tuple[str, ...]
) -> None:
    begun = site.work / "begun"
    site.add("my-hung", agents={"aa": "my_hung:X"}, files={"my_hung.py": f"open({str(begun)!r}, 'w')\n{HANG}"})
    port = find_free_port(socket.SOCK_STREAM)
    worker = site.start("start", "--port", str(port), "--allow", "my-hung", *options, env=SERVER)
    try:
        poll_until(begun.exists)
        assert ask(port)["ready"] is False
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait(10) == (0 if options else -signal.SIGTERM)
    finally:
        worker.kill()


def ask(port: int) -> dict[str, object]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=30)
    assert refused.value.code == 503
    answer: dict[str, object] = json.load(refused.value)
    return answer
