"""Edits are watched and imported in threads: what an import does holds up nobody, and one that hangs is given up."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.observe.events import CodeReloaded, Event
from openrtc.plugins.guard import clock
from openrtc.reload.late import LateEdits
from openrtc.reload.reloader import take_edits
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, Policy
from waiting import PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:
    from conftest import Site

AGENT = """
from livekit.agents import Agent

class Desk(Agent):
    def __init__(self):
        super().__init__(instructions="one")
"""


@pytest.fixture
def runtime(site: Site, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """What the calls of a worker with one package share, which has half a second for an import while it runs."""
    monkeypatch.setattr(clock, "_clock", clock.STOPPED_CLOCK)  # as a worker has it that takes calls
    monkeypatch.setattr(clock, "_limit", 0.0)  # what is loaded sets it
    site.add(
        "slow-agent", agents={"desk": "slow_agent:Desk"}, files={"slow_agent.py": AGENT}, record=["slow_agent.py,,"]
    )
    return build_runtime(Config(policy=Policy(allow=("slow-agent",), import_seconds=0.5)))


class Told:
    """What is told of edits."""

    def __init__(self, runtime: Runtime, file: Path) -> None:
        self._events: asyncio.Queue[CodeReloaded] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._file = file
        runtime.events.subscribe(self._note)

    def _note(self, event: Event) -> None:
        if isinstance(event, CodeReloaded):
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def save(self, source: str) -> CodeReloaded:
        """Save the package's file, and return what is told of that."""
        self._file.write_text(source)
        return await asyncio.wait_for(self._events.get(), PATIENCE_SECONDS)


@asynccontextmanager
async def taking(runtime: Runtime, site: Site) -> AsyncIterator[Told]:
    async with take_edits(runtime, lambda *_: {}, list, time.time()):
        yield Told(runtime, site.folder / "slow_agent.py")


def read(runtime: Runtime) -> str:
    spec = runtime.catalog.get("desk").spec
    assert spec and spec.agent
    return str(spec.agent().instructions)


async def test_an_import_that_hangs_is_given_up_and_holds_up_nobody(
    runtime: Runtime, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    beats: list[str] = []

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.01)
            beats.append("loop")

    def beat_beside() -> None:
        while not over.wait(0.01):
            beats.append("thread")

    over = threading.Event()
    beating, beside = asyncio.create_task(beat()), asyncio.create_task(asyncio.to_thread(beat_beside))
    async with taking(runtime, site) as told:
        before = sys.modules["slow_agent"]
        broken = await told.save(f"{AGENT}\nimport time\nwhile True:\n    time.sleep(0.01)\n")
        assert broken.reason == "the import has not ended within 0.5 s" and broken.place.endswith("slow_agent.py:10")
        assert sys.modules["slow_agent"] is before and read(runtime) == "one"
        over.set()
        assert beats.count("loop") >= 0.4 * beats.count("thread"), "half a second has gone by"
        good = await told.save(AGENT.replace('"one"', '"two"'))
        assert good.agents == ("desk",) and not good.reason
        assert read(runtime) == "two"
    beating.cancel()
    await beside
    assert "slow-agent is as it was (slow_agent.py): the import has not ended within 0.5 s at" in caplog.text


async def test_an_import_that_cannot_be_broken_off_ends_the_taking_of_edits_alone(
    runtime: Runtime, site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openrtc.reload.importing.BREAK_OFF_SECONDS", 0.1)
    gate = threading.Lock()
    gate.acquire()
    monkeypatch.setitem(sys.modules, "gate", gate)
    before = sys.modules["slow_agent"]
    async with taking(runtime, site):
        (site.folder / "slow_agent.py").write_text(f"{AGENT}\nimport gate\ngate.acquire()\n")
        await wait_until(lambda: "edits are not taken any more: restart" in caplog.text)
    assert sys.modules["slow_agent"] is before and read(runtime) == "one"
    gate.release()
    for thread in [one for one in threading.enumerate() if one.name == "reload-import"]:
        await asyncio.to_thread(thread.join)
    assert sys.modules["slow_agent"] is before and read(runtime) == "one"


async def test_an_edit_of_before_the_first_look_counts(runtime: Runtime, site: Site) -> None:
    since = time.time() - 1.0  # a file system's clock may be a little behind
    (site.folder / "slow_agent.py").write_text(AGENT.replace('"one"', '"early"'))
    async with take_edits(runtime, lambda *_: {}, list, since):
        await wait_until(lambda: read(runtime) == "early")


def test_a_process_that_has_waited_takes_what_was_edited_meanwhile(
    runtime: Runtime, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    edits = LateEdits(runtime, lambda *_: {}, time.time() + 1.0)
    edits.take()
    assert read(runtime) == "one"
    file = site.folder / "slow_agent.py"
    file.write_text(AGENT.replace('"one"', '"late"'))
    edits.take()
    assert read(runtime) == "late"
    file.write_text("def (:\n")
    edits.take()
    assert read(runtime) == "late" and "goes on with the code that it has: SyntaxError" in caplog.text
