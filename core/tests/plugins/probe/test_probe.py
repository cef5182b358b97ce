from __future__ import annotations

import contextlib
import textwrap
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from openrtc.catalog.loaded import LoadedAgent
from openrtc.model.status import State
from openrtc.plugins.probe.probe import probe_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Site
    from openrtc.discovery.entries import Entry

    Probe = Callable[..., list[LoadedAgent]]

HOOKS = """
from openrtc import AgentSpec, hookimpl

async def run(ctx): ...

@hookimpl
def openrtc_agents():
    return [AgentSpec(name="tim", entrypoint=run, summary="Dispatcher"), AgentSpec(name="a b", entrypoint=run)]
"""

SHUTDOWN = "from openrtc import hookimpl\n@hookimpl\ndef openrtc_shutdown(): ..."


def add(site: Site, source: str, value: str = "pkg_a") -> list[Entry]:
    """Install a package."""
    site.add("pkg-a", agents={"helpdesk": value}, files={"pkg_a.py": source}, summary="Of the package")
    return site.entries()[:1]


def ends_soon(pid: int) -> bool:
    """Whether a process ends, or has ended, within ten seconds; one that nobody reaps stays a zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        child = psutil.Process(pid)
        deadline = time.monotonic() + 10
        while child.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
    return True


@pytest.mark.process
def test_an_agent_that_works_is_ready_with_its_own_milliseconds(site: Site, probe: Probe, agent_source: str) -> None:
    source = f"import time\ntime.sleep(0.05)\n{agent_source}"
    started = time.monotonic()
    (found,) = probe(add(site, source, value="pkg_a:Support"))
    whole = (time.monotonic() - started) * 1000
    assert (found.name, found.state, found.reason) == ("helpdesk", State.READY, None)
    assert 50 <= found.load_ms < whole / 2
    assert found.entry
    assert found.entry.summary == "Answers questions about orders."


@pytest.mark.process
@pytest.mark.parametrize(("members", "state"), [(0, State.BROKEN), (1, State.READY)])
def test_of_a_cast_it_is_known_whom_it_needs(site: Site, probe: Probe, members: int, state: State) -> None:
    source = f"""
    from openrtc import AgentSpec, Cast, Member, hookimpl

    def build(): ...

    @hookimpl
    def openrtc_agents():
        cast = Cast(members=[Member(role="a", agent=build), Member(role="b", agent="x")])
        return [AgentSpec(name="desk", cast=cast)] + [AgentSpec(name="x", agent=build)] * {members}
    """
    desk = probe(add(site, textwrap.dedent(source)))[0]
    assert (desk.name, desk.state, desk.shape, desk.members) == ("desk", state, "cast", ("x",))


ENDS = {
    "a": ("import os\n\nos._exit(7)", "called os._exit(7) at import", ":3"),
    "b": ("import os\ndef f():\n    os._exit(0)\nf()", "called os._exit(0) at import", ":3"),
    "c": ("import os\nos.kill(os.getpid(), 9)", "the import crashed Python (SIGKILL); a worker ends there", ""),
    "d": ("import os\n\nos.abort()", "the import crashed Python (SIGABRT); a worker ends there", ":3"),
    "e": ("import ctypes\n\nctypes.string_at(0)", "the import crashed Python (SIGSEGV); a worker ends there", ":3"),
    "f": ("import sys\nsys.exit(4)", "called sys.exit(4) at import", ":2"),
    "g": ("raise KeyboardInterrupt", "KeyboardInterrupt; a worker ends there", ":1"),
    "h": ("1 / 0", "ZeroDivisionError: division by zero", ":1"),
    "i": (
        "import os, sys\nprint('no such device', file=sys.stderr)\nos.kill(os.getpid(), 11)",
        "the import crashed Python (SIGSEGV); the last that it said: no such device; a worker ends there",
        ":3",
    ),
}


@pytest.mark.process
def test_whatever_ends_the_process_is_a_row(site: Site, probe: Probe) -> None:
    for name, (source, _, _) in ENDS.items():
        site.add(f"pkg-{name}", agents={name: f"pkg_{name}"}, files={f"pkg_{name}.py": source})
    found = probe(site.entries())
    assert {agent.name: (agent.state, agent.reason) for agent in found} == {
        name: (State.BROKEN, reason) for name, (_, reason, _) in ENDS.items()
    }
    for agent in found:
        assert agent.fix
        if place := ENDS[agent.name][2]:
            assert (agent.location or "").endswith(f"pkg_{agent.name}.py{place}")


BLOCKS = {
    "a": "import threading\nlock = threading.Lock()\nwhile lock.acquire(): pass",
    "b": "import time\nwhile True: time.sleep(9)",
    "c": "import ctypes, sys\nsys.stdin.read()\nctypes.PyDLL(None).sleep(600)",  # it keeps the interpreter's lock
}


@pytest.mark.process
def test_an_import_that_hangs_is_stopped_and_told_where(site: Site, probe: Probe) -> None:
    for name, block in BLOCKS.items():
        source = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{block}"
        agents = {name: f"pkg_{name}"} | ({"a-sound": "sound"} if name == "a" else {})
        site.add(f"pkg-{name}", agents=agents, files={f"pkg_{name}.py": source, "sound.py": ""})
    started = time.monotonic()
    a, sound, b, c = probe(site.entries(), timeout=2)
    assert time.monotonic() - started < 60
    assert (sound.name, sound.status, sound.alone) == ("a-sound", a.status, None)  # a worker leaves out all of pkg-a
    for found in (a, b, c):
        assert (found.state, found.alone) == (State.BROKEN, None)
        assert found.reason == "its import had not ended after 2 seconds"
        assert f"pkg_{found.name}.py:" in (found.location or "")


@pytest.mark.process
def test_an_import_that_switches_off_the_clock_is_stopped_all_the_same(site: Site, probe: Probe) -> None:
    source = "import faulthandler, time\nfaulthandler.cancel_dump_traceback_later()\ntime.sleep(100)"
    (found,) = probe(add(site, source), timeout=1, start_timeout=3)
    assert found.reason == "its import had not ended after 1 seconds"


@pytest.mark.process
def test_threads_prints_and_children_left_behind_do_not_hold_it_up(site: Site, probe: Probe) -> None:
    note = site.work / "child.pid"
    source = f"""
        import subprocess, sys, threading, time, atexit
        print("noise" * 100_000)
        atexit.register(time.sleep, 60)
        threading.Thread(target=time.sleep, args=(60,)).start()
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
        open({str(note)!r}, "w").write(str(child.pid))
        from openrtc import AgentSpec, hookimpl
        async def run(ctx): ...
        @hookimpl
        def openrtc_agents():
            return [AgentSpec(name="tim", entrypoint=run)]
    """
    started = time.monotonic()
    (found,) = probe(add(site, source))
    assert found.state is State.READY, found.reason
    assert time.monotonic() - started < 40
    assert ends_soon(int(note.read_text()))


def test_what_is_not_usable_is_not_run(site: Site) -> None:
    touched = site.work / "touched"
    site.add("pkg-a", agents={"helpdesk": "pkg_a"}, files={"pkg_a.py": f"open({str(touched)!r}, 'w')"})
    (entry,) = site.entries(deny=("pkg-a",))
    (found,) = probe_all([entry])
    assert found.state is State.DISABLED
    assert not touched.exists()


@pytest.mark.process
def test_all_are_probed_in_their_order_and_plugins_show_only_agents_that_they_bring(site: Site, probe: Probe) -> None:
    closes = "import os, sys\nos.close(1)\nsys.stdout = None\nsys.stderr = 3\n"
    site.add("a-bad", agents={"bad": "mod_bad"}, files={"mod_bad.py": "import os\nos._exit(1)"})
    site.add("b-good", agents={"good": "mod_good"}, files={"mod_good.py": HOOKS})
    site.add("c-plug", plugins={"p": "mod_plug"}, files={"mod_plug.py": HOOKS.replace("tim", "chris")})
    site.add("d-plug", plugins={"q": "mod_gone"})
    site.add("e-none", agents={"none": "mod_none"}, files={"mod_none.py": SHUTDOWN})
    site.add("f-out", agents={"out": "mod_out"}, files={"mod_out.py": closes + HOOKS.replace("tim", "ann")})
    found = probe(site.entries())
    assert [(agent.name, agent.state) for agent in found] == [
        ("bad", State.BROKEN),
        ("tim", State.READY),
        ("a b", State.BROKEN),
        ("chris", State.READY),
        ("a b", State.BROKEN),
        ("none", State.READY),
        ("ann", State.READY),
        ("a b", State.BROKEN),
    ]
    tim, none = found[1], found[5]
    assert tim.entry and none.entry
    assert (tim.entry.summary, none.entry.summary) == ("Dispatcher", "(brings no agent)")


@pytest.mark.process
def test_what_a_package_changes_at_import_is_told_here(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    tim, *_ = probe_all(add(site, f"import os, sys\nos.chdir('/')\nsys.stdout = None\n{HOOKS}"))
    assert tim.state is State.READY
    (line,) = caplog.messages
    assert line.startswith('pkg-a 1.0 (entry point "helpdesk", ')
    assert line.endswith("pkg_a.py) has changed the current folder: put back, since it is everybody's")
