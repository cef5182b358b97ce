from __future__ import annotations

import contextlib
import textwrap
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from openrtc.catalog.loaded import LoadedAgent
from openrtc.model.status import State
from openrtc.plugins.probe import probe_all

if TYPE_CHECKING:
    from conftest import Site

HOOKS = """
from openrtc import AgentSpec, hookimpl

async def run(ctx): ...

@hookimpl
def openrtc_agents():
    return [AgentSpec(name="tim", entrypoint=run, summary="Dispatcher"), AgentSpec(name="a b", entrypoint=run)]
"""


def probed(site: Site, source: str, timeout: float = 20.0, value: str = "pkg_a") -> list[LoadedAgent]:
    """Probe a hook module: it needs no livekit, so that its process starts at once."""
    site.add("pkg-a", agents={"helpdesk": value}, files={"pkg_a.py": source}, summary="Of the package")
    return probe_all(site.entries()[:1], timeout=timeout)


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
def test_an_agent_that_works_is_ready_with_its_own_milliseconds(site: Site, agent_source: str) -> None:
    started = time.monotonic()
    (found,) = probed(site, f"import time\ntime.sleep(0.05)\n{agent_source}", value="pkg_a:Support")
    whole = (time.monotonic() - started) * 1000
    assert (found.name, found.state, found.reason) == ("helpdesk", State.READY, None)
    assert 50 <= found.load_ms < whole / 2
    assert found.entry
    assert found.entry.summary == "Answers questions about orders."


@pytest.mark.process
def test_of_a_cast_it_is_known_whom_it_needs(site: Site) -> None:
    source = """
    from openrtc import AgentSpec, Cast, Member, hookimpl

    def build(): ...

    @hookimpl
    def openrtc_agents():
        return [AgentSpec(name="desk", cast=Cast(members=[Member(role="a", agent=build), Member(role="b", agent="x")]))]
    """
    (found,) = probed(site, textwrap.dedent(source))
    assert (found.state, found.shape, found.members) == (State.READY, "cast", ("x",))


@pytest.mark.process
def test_a_hook_module_is_all_its_agents(site: Site) -> None:
    tim, wrong = probed(site, HOOKS)
    assert (tim.name, tim.state) == ("tim", State.READY)
    assert tim.entry
    assert tim.entry.summary == "Dispatcher"
    assert (wrong.name, wrong.state) == ("a b", State.BROKEN)


@pytest.mark.process
def test_a_hook_module_without_agents_stays_one_row(site: Site) -> None:
    (found,) = probed(site, "from openrtc import hookimpl\n@hookimpl\ndef openrtc_shutdown(): ...")
    assert (found.name, found.state) == ("helpdesk", State.READY)


@pytest.mark.process
@pytest.mark.parametrize(
    ("source", "reason", "place"),
    [
        ("import os\n\nos._exit(7)", "called os._exit(7) at import", "pkg_a.py:3"),
        ("import os\ndef f():\n    os._exit(0)\nf()", "os._exit(0)", "pkg_a.py:3"),
        ("import os\nos.kill(os.getpid(), 9)", "crashed Python (SIGKILL)", None),
        ("import os\n\nos.abort()", "crashed Python (SIGABRT)", "pkg_a.py:3"),
        ("import ctypes\n\nctypes.string_at(0)", "crashed Python (SIGSEGV)", "pkg_a.py:3"),
        ("import sys\nsys.exit(4)", "called sys.exit(4) at import", "pkg_a.py:2"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "pkg_a.py:1"),
        ("1 / 0", "ZeroDivisionError", "pkg_a.py:1"),
    ],
)
def test_whatever_ends_the_process_is_a_row(site: Site, source: str, reason: str, place: str | None) -> None:
    (found,) = probed(site, source)
    assert (found.name, found.state) == ("helpdesk", State.BROKEN)
    assert reason in (found.reason or "")
    assert found.fix
    if place:
        assert (found.location or "").endswith(place)


@pytest.mark.process
@pytest.mark.parametrize(
    "block", ["while True: pass", "import time\nwhile True: time.sleep(9)", "input()\nopen('/dev/zero').read()"]
)
def test_an_import_that_hangs_is_stopped_and_told_where(site: Site, block: str) -> None:
    started = time.monotonic()
    (found,) = probed(site, f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{block}", timeout=2)
    assert time.monotonic() - started < 40
    assert found.state is State.BROKEN
    if "input" not in block:
        assert found.reason == "the import had not ended after 2 seconds"
        assert "pkg_a.py:" in (found.location or "")


@pytest.mark.process
def test_an_import_that_switches_off_the_clock_is_stopped_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openrtc.plugins.probe.PROBE_START_SECONDS", 3.0)
    source = "import faulthandler, time\nfaulthandler.cancel_dump_traceback_later()\ntime.sleep(100)"
    (found,) = probed(site, source, timeout=1)
    assert found.reason == "the import had not ended after 1 seconds"


@pytest.mark.process
def test_threads_prints_and_children_left_behind_do_not_hold_it_up(site: Site) -> None:
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
    (found,) = probed(site, source)
    assert found.state is State.READY, found.reason
    assert time.monotonic() - started < 40
    assert ends_soon(int(note.read_text()))


@pytest.mark.process
def test_a_package_that_closes_or_replaces_stdout_is_read_all_the_same(site: Site) -> None:
    source = f"import os, sys\nos.close(1)\nsys.stdout = None\nsys.stderr = 3\n{HOOKS}"
    assert probed(site, source)[0].state is State.READY


def test_what_is_not_usable_is_not_run(site: Site) -> None:
    touched = site.work / "touched"
    site.add("pkg-a", agents={"helpdesk": "pkg_a"}, files={"pkg_a.py": f"open({str(touched)!r}, 'w')"})
    (entry,) = site.entries(deny=("pkg-a",))
    (found,) = probe_all([entry])
    assert found.state is State.DISABLED
    assert not touched.exists()


@pytest.mark.process
def test_all_are_probed_in_their_order_and_plugins_show_only_agents_that_they_bring(site: Site) -> None:
    site.add("a-bad", agents={"bad": "mod_bad"}, files={"mod_bad.py": "import os\nos._exit(1)"})
    site.add("b-good", agents={"good": "mod_good"}, files={"mod_good.py": HOOKS})
    site.add("c-plug", plugins={"p": "mod_plug"}, files={"mod_plug.py": HOOKS.replace("tim", "chris")})
    site.add("d-plug", plugins={"q": "mod_gone"})
    found = [(agent.name, agent.state) for agent in probe_all(site.entries())]
    assert found == [
        ("bad", State.BROKEN),
        ("tim", State.READY),
        ("a b", State.BROKEN),
        ("chris", State.READY),
        ("a b", State.BROKEN),
    ]


@pytest.mark.process
def test_what_a_package_changes_at_import_is_told_here(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    tim, *_ = probed(site, f"import os, sys\nos.chdir('/')\nsys.stdout = None\n{HOOKS}")
    assert tim.state is State.READY
    (line,) = caplog.messages
    assert line.startswith('pkg-a 1.0 (entry point "helpdesk", ')
    assert line.endswith("pkg_a.py) has changed the current folder: put back, since it is everybody's")


@pytest.mark.process
def test_a_module_of_the_working_folder_takes_the_place_of_none_of_pythons(site: Site) -> None:
    for name in ("random", "selectors", "signal", "json"):
        (site.work / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    site.add("pkg-a", agents={"a": "pkg_a:A"}, files={"pkg_a.py": "class A: pass"})
    result = site.python("-P", "-m", "openrtc", "list-agents", "--load")
    assert result.returncode == 0, result.stderr
    assert "livekit.agents.Agent" in result.stdout  # from which it does not derive
