"""A package's code that does not come back is told and given up; code that is only slow is told."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from openrtc.model.hung_package import FIX_IMPORT, FIX_OTHER, HungPackage
from openrtc.model.resource import ResourceSpec
from openrtc.model.status import State
from openrtc.plugins.contributions import collect_contributions
from openrtc.plugins.guard import clock
from openrtc.plugins.guard.clock import STOPPED_CLOCK, PackageCode, ThreadClock, clocked, go_on, set_limit, use_clock
from openrtc.plugins.hooks import Hooks
from openrtc.runtime.providers import Providers
from openrtc.runtime.resources import Resources
from waiting import PATIENCE_SECONDS, poll_until

if TYPE_CHECKING:
    from conftest import Site

HANG = "import os, time; open({flag!r} + '.begun', 'w').close()\nwhile not os.path.exists({flag!r}): time.sleep(0.01)\n"
HOOK = "from openrtc import hookimpl\n@hookimpl\ndef {hook}():\n    {hang}\n    return {result}\n"


@pytest.fixture(autouse=True)
def _usual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_clock", "_limit"):
        monkeypatch.setattr(clock, name, getattr(clock, name))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that are told."""
    lines: list[str] = []
    monkeypatch.setattr(clock, "_write_line", lines.append)
    return lines


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """A file: what hangs goes on as soon as it is there."""
    return tmp_path / "flag"


@pytest.fixture
def given_up(flag: Path, monkeypatch: pytest.MonkeyPatch) -> list[HungPackage]:
    """What has been given up, which then goes on."""
    found: list[HungPackage] = []
    begun, locate = flag.with_name("flag.begun"), clock._locate

    def locate_when_begun(running: Any) -> str | None:
        poll_until(begun.exists)  # on a busy machine the code's time may be over before it has begun
        return locate(running)

    monkeypatch.setattr(clock, "_locate", locate_when_begun)

    def answer(code: PackageCode, hung: HungPackage) -> None:
        found.append(hung)
        flag.touch()

    use_clock(ThreadClock(answer, ends=False, first=0.05))
    set_limit(0.3)
    return found


def test_an_import_that_hangs_is_told_by_name_and_line_and_given_up(
    site: Site, told: list[str], flag: Path, given_up: list[HungPackage]
) -> None:
    source = f"\n\n{HANG.format(flag=str(flag))}Support = 1"
    site.add("pkg-a", agents={"helpdesk": "pkg_a:Support"}, files={"pkg_a.py": source}, version="2.1")
    site.load(import_seconds=0.3)
    place = f"{site.folder}/pkg_a.py:4"
    assert given_up == [HungPackage("pkg-a", "its import had not ended after 0.3 seconds", FIX_IMPORT, place)]
    line = (
        r'openrtc: warning: pkg-a 2\.1 \(entry point "helpdesk", pkg_a:Support\): '
        r"its import has been running for \d+ s, since \d\d:\d\d:\d\d, now at \S+:\d+"
    )
    assert told and all(re.fullmatch(line, one) for one in told), told
    assert any(one.endswith(f"now at {place}") for one in told), told  # one that is told late may see it go on
    assert clock.describe_hang() is None


def test_an_import_that_is_slow_is_told_again_and_again_and_is_ready(
    site: Site, monkeypatch: pytest.MonkeyPatch, flag: Path
) -> None:
    shown: list[str | None] = []

    def write(line: str) -> None:
        shown.append(clock.describe_hang())
        if len(shown) == 3:
            flag.touch()

    monkeypatch.setattr(clock, "_write_line", write)
    use_clock(ThreadClock(lambda *_: pytest.fail("it was given up"), first=0.02))
    hook = HOOK.format(hook="openrtc_agents", hang="", result="[]")
    site.add("pkg-p", plugins={"p": "pkg_p"}, files={"pkg_p.py": HANG.format(flag=str(flag)) + hook})
    (plugin,) = site.load().plugins
    assert plugin.state is State.READY
    assert all("its import has been running" in (one or "") for one in shown[:3])


def test_what_nobody_gives_up_is_told_also_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            over.set()

    monkeypatch.setattr(clock, "_write_line", write)
    use_clock(ThreadClock(go_on, ends=False, first=0.05))
    set_limit(0.06)
    with clocked(PackageCode("pkg-a", "pkg-a 1.0", "pkg_a")):
        assert over.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("hook", "result", "call"),
    [
        ("openrtc_agents", "[]", lambda plugin: None),
        ("openrtc_resources", "[]", collect_contributions),
        ("openrtc_providers", "{}", collect_contributions),
        ("openrtc_resources", "[]", lambda plugin: Hooks([plugin]).collect_now("openrtc_resources")),
        ("openrtc_providers", "{}", lambda plugin: Providers(Hooks([plugin]))),
    ],
)
def test_a_hook_at_the_start_that_hangs_is_given_up_by_name(
    site: Site, flag: Path, given_up: list[HungPackage], hook: str, result: str, call: Callable[[object], object]
) -> None:
    hang = HANG.format(flag=str(flag)).rstrip().replace("\n", "\n    ")
    site.add("pkg-p", plugins={"p": "pkg_p"}, files={"pkg_p.py": HOOK.format(hook=hook, hang=hang, result=result)})
    (plugin,) = site.load(import_seconds=0.3).plugins
    assert plugin.state is State.READY
    call(plugin)
    reason = f"{hook} had not ended after 0.3 seconds"
    assert given_up == [HungPackage("pkg-p", reason, FIX_OTHER, f"{site.folder}/pkg_p.py:5")]


async def test_a_resource_that_hangs_while_it_is_loaded_is_given_up_by_name(
    flag: Path, given_up: list[HungPackage]
) -> None:
    def load() -> str:
        exec(HANG.format(flag=str(flag)))
        return "loaded"

    resources = Resources()
    await resources.load([(ResourceSpec(key="voice", load=load), "pkg-r")])
    assert resources["voice"] == "loaded"
    (hung,) = given_up
    reason = "the loading of the resource 'voice' had not ended after 0.3 seconds"
    assert (hung.distribution, hung.reason) == ("pkg-r", reason)


def test_a_server_within_an_import_does_not_keep_sigterm(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_write_line", lambda line: None)
    use_clock(ThreadClock(go_on, ends=False, first=0.05))
    before = signal.getsignal(signal.SIGTERM)
    found = site.work / "found"
    source = f"""
        import signal, time
        own = lambda *_: None
        signal.signal(signal.SIGTERM, own)
        while signal.getsignal(signal.SIGTERM) is own:
            time.sleep(0.01)
        open({str(found)!r}, "w").close()
    """
    site.plugin(source)
    assert found.exists()
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_is_told_to_stop_does_not_begin_again_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "STOP_GRACE_SECONDS", 0.0)
    done: list[str] = []
    over = threading.Event()

    class Resort:
        def arm(self, code: PackageCode, hung: HungPackage, seconds: float) -> bool:
            done.append("armed")
            return True

        def disarm(self) -> None:
            done.append("disarmed")

    def stop(code: PackageCode) -> None:
        done.append("stops")
        over.set()

    use_clock(ThreadClock(lambda *_: pytest.fail("it was given up"), stop=stop, last_resort=Resort(), first=0.01))
    set_limit(PATIENCE_SECONDS)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with clocked(PackageCode("pkg-a", "pkg-a 1.0", "pkg_a")):
            os.kill(os.getpid(), signal.SIGTERM)
            assert over.wait(PATIENCE_SECONDS)
            assert done[:3] == ["armed", "disarmed", "stops"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_thread_that_looks_late_is_given_a_turn_by_the_code_that_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []
    monkeypatch.setattr(clock, "_sleep", turns.append)
    watching = ThreadClock(go_on, ends=False)
    with watching._looking:
        watching._look_instead()
    assert turns == [clock.TURN_SECONDS]


def test_the_thread_of_the_clock_ends_when_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "IDLE_SECONDS", 0.01)
    use_clock(ThreadClock(go_on, ends=False))
    before = threading.enumerate()
    with clocked(PackageCode("pkg-a", "pkg-a 1.0", "pkg_a")):
        (thread,) = (one for one in threading.enumerate() if one.name == "import-clock" and one not in before)
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_a_stopped_clock_watches_nothing(given_up: list[HungPackage]) -> None:
    use_clock(STOPPED_CLOCK)
    set_limit(0.01)
    before = threading.enumerate()
    with clocked(PackageCode("pkg-a", "pkg-a 1.0", "pkg_a")):
        assert set(threading.enumerate()) <= set(before)
    assert given_up == []


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "hang"),
    [
        (("plugins", "--json"), "import time; time.sleep(600)"),
        (("route", "--room", "x"), "import re; re.match('(a+)+$', 'a' * 60 + 'b')"),
    ],
)
def test_a_command_that_looks_gives_up_with_the_name(site: Site, command: tuple[str, ...], hang: str) -> None:
    site.add("pkg-p", plugins={"p": "pkg_p"}, files={"pkg_p.py": f"\n{hang}\n"})
    done = site.run(*command, "--allow", "pkg-p", "--import-seconds", "1")
    assert (done.returncode, done.stdout) == (clock.GIVEN_UP, ""), done.stderr
    *stack, told = done.stderr.splitlines()
    # On a machine that is too busy for the search to be interrupted, it ends with its stack.
    place = "" if stack else f"(at {site.folder}/pkg_p.py:2) "
    reason = "its import had not ended after 1 seconds"
    assert told == f'openrtc: pkg-p 1.0 (entry point "p", pkg_p): {reason} {place}({FIX_IMPORT})'
    assert not stack or f'  File "{site.folder}/pkg_p.py", line 2 in <module>' in stack


@pytest.mark.process
def test_code_that_lets_nothing_else_run_ends_with_its_stack_and_the_name(site: Site) -> None:
    source = "\nimport ctypes\nctypes.PyDLL(None).sleep(600)\n"  # a PyDLL keeps the interpreter's lock
    site.add("pkg-p", plugins={"p": "pkg_p"}, files={"pkg_p.py": source})
    done = site.run("plugins", "--allow", "pkg-p", "--import-seconds", "1")
    assert done.returncode == clock.GIVEN_UP
    assert f'File "{site.folder}/pkg_p.py", line 3 in <module>' in done.stderr
    name = 'pkg-p 1.0 (entry point "p", pkg_p)'
    line = f"openrtc: {name}: its import had not ended after 1 seconds ({FIX_IMPORT})"
    assert done.stderr.splitlines()[-1] == line
