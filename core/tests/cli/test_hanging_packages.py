"""``openrtc start`` and an import that hangs: the worker begins again without it, and answers meanwhile."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from openrtc.server.settings import find_free_port
from waiting import poll_until

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.process

SERVER = {"LIVEKIT_URL": "ws://127.0.0.1:9", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret" * 6}
SERVER_LOST = 4
HANG = "\nimport time; time.sleep(600)"


def start(site: Site, *options: str) -> subprocess.CompletedProcess[str]:
    options = ("--allow", ",".join(site.distributions), "--import-seconds", "2", *options)
    return site.run("start", "--port", "0", "--max-retry", "0", *options, env=SERVER)


def test_a_worker_begins_again_without_each_package_that_hangs(site: Site, agent_source: str) -> None:
    site.add("first-hung", agents={"aa": "first_hung:X"}, files={"first_hung.py": HANG})
    site.add("my-agent", agents={"helpdesk": "my_agent:Support"}, files={"my_agent.py": agent_source})
    resource = f"""
        from openrtc import ResourceSpec, hookimpl

        def load():
            {HANG.strip()}

        @hookimpl
        def openrtc_resources():
            return [ResourceSpec(key="voice", load=load)]
    """
    site.add("second-hung", plugins={"pp": "second_hung"}, files={"second_hung.py": resource})
    done = start(site)
    assert done.returncode == SERVER_LOST, done.stderr
    log = done.stderr
    place = f"{site.folder}/first_hung.py:2"
    reason = "its import had not ended after 2 seconds"
    name = 'first-hung 1.0 (entry point "aa", first_hung:X)'
    assert log.count(f"{name}: {reason} at {place}: the worker begins again without it") == 1
    assert log.count(f"aa of first-hung is broken: {reason} at {place} (") == 2  # it is still left out the third time
    reason = "the loading of the resource 'voice' had not ended after 2 seconds"
    assert log.count(f"second-hung: {reason} at {site.folder}/second_hung.py:5: the worker begins again") == 1
    assert log.count(f"second-hung:pp of second-hung is broken: {reason}") == 1
    assert "agents: helpdesk; default: helpdesk" in log
    assert "Traceback" not in log


def test_a_worker_begins_again_where_no_python_can_run_any_more(site: Site, agent_source: str) -> None:
    holds_the_lock = "\nimport itertools\nsum(itertools.repeat(1))"  # and lets no signal through
    site.add("first-hung", agents={"aa": "first_hung:X"}, files={"first_hung.py": holds_the_lock})
    site.add("my-agent", agents={"helpdesk": "my_agent:Support"}, files={"my_agent.py": agent_source})
    site.add("second-hung", agents={"zz": "second_hung:X"}, files={"second_hung.py": holds_the_lock})
    done = start(site)
    assert done.returncode == SERVER_LOST, done.stderr
    reason = "its import had not ended after 2 seconds"
    for name, agent in (("first-hung", "aa"), ("second-hung", "zz")):
        owner = f'{name} 1.0 (entry point "{agent}", {name.replace("-", "_")}:X)'
        assert done.stderr.count(f"openrtc: {owner}: {reason}: the worker begins again without it") == 1
        assert f"{agent} of {name} is broken: {reason} (" in done.stderr
    assert f'File "{site.folder}/first_hung.py", line 3 in <module>' in done.stderr
    assert "agents: helpdesk; default: helpdesk" in done.stderr


def test_a_supervisor_begins_again_without_a_package_that_hangs(site: Site) -> None:
    site.add("my-hung", agents={"aa": "my_hung:X"}, files={"my_hung.py": HANG})
    done = start(site, "--processes", "1")
    reason = f"its import had not ended after 2 seconds at {site.folder}/my_hung.py:2"
    assert f"my-hung: {reason}: the workers' parent process is started again without it" in done.stderr
    assert f"aa of my-hung is broken: {reason} (" in done.stderr
    assert done.returncode == 2, done.stderr
    assert "no agent is ready to take calls" in done.stderr


@pytest.mark.parametrize(
    "hang",
    [
        "time.sleep(600)",
        "await asyncio.sleep(600)",
        "re.match('(a+)+$', 'a' * 60 + 'b')",  # it keeps the interpreter's lock
    ],
)
def test_a_worker_that_is_told_to_stop_while_a_resource_hangs_ends(site: Site, agent_source: str, hang: str) -> None:
    begun = site.work / "begun"
    site.add("my-agent", agents={"helpdesk": "my_agent:Support"}, files={"my_agent.py": agent_source})
    resource = f"""
        import asyncio, re, time
        from openrtc import ResourceSpec, hookimpl

        {"async " * hang.startswith("await")}def load():
            open({str(begun)!r}, "w").close()
            {hang}

        @hookimpl
        def openrtc_resources():
            return [ResourceSpec(key="voice", load=load)]
    """
    site.add("my-hung", plugins={"pp": "my_hung"}, files={"my_hung.py": resource})
    options = ("--port", "0", "--allow", "my-agent,my-hung", "--import-seconds", "3", "--max-retry", "0")
    command = [sys.executable, "-m", "openrtc", "start", *options]
    environment = site.environment(SERVER)
    with subprocess.Popen(command, cwd=site.work, env=environment, stderr=subprocess.PIPE, text=True) as worker:
        try:
            poll_until(begun.exists)
            worker.send_signal(signal.SIGTERM)
            _, log = worker.communicate(timeout=30)
        finally:
            worker.kill()
    told = "my-hung: the loading of the resource 'voice' has not ended, and the worker is told to stop: it ends"
    assert told in log and "begins again" not in log
    assert worker.returncode == 0


@pytest.mark.parametrize("options", [(), ("--processes", "1")])
def test_while_an_import_hangs_the_health_port_answers_and_sigterm_ends_all_at_once(
    site: Site, options: tuple[str, ...]
) -> None:
    begun = site.work / "begun"
    site.add("my-hung", agents={"aa": "my_hung:X"}, files={"my_hung.py": f"open({str(begun)!r}, 'w')\n{HANG}"})
    port = find_free_port(socket.SOCK_STREAM)
    command = [sys.executable, "-m", "openrtc", "start", "--port", str(port), "--allow", "my-hung", *options]
    with subprocess.Popen(command, cwd=site.work, env=site.environment(SERVER), stderr=subprocess.DEVNULL) as worker:
        try:
            poll_until(begun.exists)
            assert ask(port)["ready"] is False
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(10) == (0 if options else -signal.SIGTERM)
        finally:
            worker.kill()


def ask(port: int) -> dict[str, object]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=30)
    assert refused.value.code == 503
    answer: dict[str, object] = json.load(refused.value)
    return answer
