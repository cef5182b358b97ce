"""``openrtc start --strict``, without a LiveKit server: a worker that starts gives up with exit code 4."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.process

SERVER = {"LIVEKIT_URL": "ws://127.0.0.1:9", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret" * 6}
SERVER_LOST = 4

BAD_RESOURCE = """
from openrtc import ResourceSpec, hookimpl

def load():
    raise RuntimeError("no such voice")

@hookimpl
def openrtc_resources():
    return [ResourceSpec(key="voice", load=load)]
"""


@pytest.fixture
def agent(site: Site, agent_source: str) -> Site:
    site.add("my-agent", agents={"helpdesk": "my_agent:Support"}, files={"my_agent.py": agent_source})
    return site


def start(site: Site, *options: str, allow: str = "my-agent") -> subprocess.CompletedProcess[str]:
    return site.run("start", "--port", "0", "--max-retry", "0", "--allow", allow, *options, env=SERVER)


def stopped(done: subprocess.CompletedProcess[str], warnings: str) -> bool:
    last = f"openrtc: --strict: the worker does not start, for {warnings} above"
    return (done.returncode, done.stderr.splitlines()[-1]) == (2, last)


def test_a_distribution_that_is_required_and_not_there_stops_the_worker(agent: Site) -> None:
    assert start(agent, "--require", "my-agent>=1,<2").returncode == SERVER_LOST
    line = "--require: [plugins] require names my-agent>=2, and my-agent 1.0 is installed (pip install 'my-agent>=2')"
    for options in ((), ("--processes", "1")):
        done = start(agent, "--require", "my-agent>=2", "--require", "my-agent", *options)
        assert done.returncode == 2, done.stderr
        assert line in done.stderr
        assert "Traceback" not in done.stderr


def test_strict_starts_where_nothing_is_warned_of_and_all_is_usable_or_switched_off(agent: Site) -> None:
    agent.add("switched-off", agents={"other": "gone_mod:X"})
    done = start(agent, "--strict")
    assert done.returncode == SERVER_LOST, done.stderr
    assert "--strict" not in done.stderr


def test_strict_stops_for_a_warning_before_the_worker_is_registered(agent: Site) -> None:
    assert start(agent, "--limit", "helpdsk=3").returncode == SERVER_LOST
    done = start(agent, "--limit", "helpdsk=3", "--prefix-agents", "zzz", "--strict", "--log-level", "error")
    assert stopped(done, "the 2 warnings and errors"), done.stderr
    first, second, _ = done.stderr.splitlines()
    assert '--prefix-agents: [routing] prefix_agents names the agent "zzz", which does not exist' in first
    assert '--limit: [limits] names the agent "helpdsk", which does not exist (did you mean "helpdesk"?)' in second


def test_strict_stops_for_an_entry_that_is_not_usable(agent: Site) -> None:
    agent.add("wrecked", agents={"wreck": "gone_mod:X"}, plugins={"plug": "gone_plug"})
    done = start(agent, "--strict", allow="my-agent,wrecked")
    assert stopped(done, "the 2 warnings and errors"), done.stderr
    assert "wreck of wrecked is broken" in done.stderr and "wrecked:plug of wrecked is broken" in done.stderr


def test_strict_stops_a_supervisor_once_for_what_its_workers_share(agent: Site) -> None:
    done = start(agent, "--strict", "--limit", "helpdsk=3", "--processes", "2")
    assert stopped(done, "the warning"), done.stderr
    assert done.stderr.count("--strict") == 1


def test_strict_stops_a_supervisor_whose_workers_cannot_be_forked(site: Site, agent_source: str) -> None:
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    site.add("my-agent", agents={"helpdesk": "my_agent:Support"}, files={"my_agent.py": thread + agent_source})
    done = start(site, "--strict", "--processes", "2")
    assert stopped(done, "the warning"), done.stderr
    assert "workers share no memory and start slowly: a package has started a thread at import" in done.stderr


def test_strict_stops_a_supervisor_for_what_each_worker_loads_itself(agent: Site) -> None:
    agent.add("my-voice", plugins={"voice": "voice_mod"}, files={"voice_mod.py": BAD_RESOURCE})
    done = start(agent, "--strict", "--processes", "2", allow="my-agent,my-voice")
    assert done.returncode == 2
    # The other worker may warn of the same once more before it is stopped.
    assert "openrtc: --strict: the worker does not start, for the warning above" in done.stderr.splitlines()
    assert "resource 'voice' of my-voice is not available: RuntimeError: no such voice" in done.stderr


def test_a_port_that_is_taken_is_one_line_before_anything_is_imported(agent: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = agent.run("start", "--port", str(port), "--allow", "my-agent", env=SERVER)
    where = f"the health server cannot listen on 127.0.0.1:{port}"
    assert done.returncode == 2
    assert done.stderr == f"openrtc: {where}: Address already in use (choose another --port)\n"
