"""Lets packages join a running worker that were installed after its start, without touching its calls."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from livekit.agents import Plugin

from openrtc.catalog.loaded import LoadedAgent, LoadedPlugin
from openrtc.discovery.entries import Entry
from openrtc.discovery.installed_look import InstalledState
from openrtc.model.names import normalise_name
from openrtc.model.status import State, Status
from openrtc.observe.events import PluginsChanged
from openrtc.plugins.probe.child import Request
from openrtc.plugins.probe.probe import NO_LIMIT, PROBE_START_SECONDS
from openrtc.plugins.probe.processes import ProbeProcess, run_processes
from openrtc.reload.engine import Broken, Engine, PrepareAgents, Staged
from openrtc.reload.importing import Stuck, import_within
from openrtc.reload.installed import follow_path_files
from openrtc.runtime.runtime import Runtime
from openrtc.settings.config import Config

logger = logging.getLogger("openrtc.reload")

PICKED_UP = "picked_up"
"""What happened to a package that has joined a running worker."""

NOT_JOINED = "%s cannot join this worker, and is tried again when it is installed anew: %s"


class PickUp:
    """Imports newly installed packages in a thread of its own, and lets further calls use them.

    Args:
        runtime: What the calls of this process share.
        prepare: Prepares agents that were not there before; returns why that failed, by their names.
        join: Called on the loop of the calls when they are there.
        loop: That loop, which runs in the main thread.
    """

    def __init__(
        self,
        runtime: Runtime,
        prepare: PrepareAgents,
        join: Callable[[], Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._runtime = runtime
        self._prepare = prepare
        self._join = join
        self._loop = loop

    def take(self, distributions: Sequence[str], before: InstalledState, now: InstalledState) -> bool:
        """Import packages, which may take long, and let them join one by one; what goes wrong is logged.

        Args:
            distributions: Their names.
            before: What was installed before.
            now: What is installed.

        Returns:
            Whether further ones can be taken; not while an import never comes back.
        """
        engine = Engine(self._runtime, self._prepare, reads=False)
        try:
            self._import(engine, [], lambda: follow_path_files(before, now))
            for name in distributions:
                self._take_one(engine, name)
        except Stuck:
            return False
        return True

    def _take_one(self, engine: Engine, name: str) -> None:
        began = time.monotonic()
        if fault := _try_apart(engine.list_entries([name]), self._runtime.config):
            logger.error(NOT_JOINED, name, Broken(fault, [name]))
            return
        if staged := self._import(engine, [name], lambda: engine.stage_new([name])):
            using = asyncio.run_coroutine_threadsafe(self._use(staged, engine.list_entries([name])), self._loop)
            with contextlib.suppress(asyncio.CancelledError):
                using.result()
                self._tell(staged, (time.monotonic() - began) * 1000)

    def _import(self, engine: Engine, names: Sequence[str], work: Callable[[], Staged | None]) -> Staged | None:
        """Return what was staged; None where that has failed.

        Raises:
            Stuck: It goes on for ever.
        """

        def work_elsewhere() -> Staged | None:
            with _register_in(self._loop):
                return work()

        seconds = self._runtime.config.policy.import_seconds
        try:
            return import_within(engine, work_elsewhere, seconds, names, "no package joins this worker any more")
        except Broken as broken:
            logger.error(NOT_JOINED, ", ".join(names) or "what is installed as editable", broken)
            return None

    async def _use(self, staged: Staged, entries: Sequence[Entry]) -> None:
        staged.commit()
        self._runtime.distributions.add(entries)
        keys = {normalise_name(one) for one in staged.distributions}
        self._runtime.note_drift([one for one in self._runtime.drift if normalise_name(one.distribution) not in keys])
        self._join()

    def _tell(self, staged: Staged, ms: float) -> None:
        for row in staged.unusable:
            where = f" at {row.location}" if row.location else ""
            logger.error("%s of %s is %s: %s%s (%s)", row.name, row.distribution, row.state, row.reason, where, row.fix)
        if staged.restart:
            logger.warning("restart to have all of it: %s", "; ".join(staged.restart))
        for name in staged.distributions:
            key = normalise_name(name)
            rows: list[LoadedAgent | LoadedPlugin] = [*self._runtime.catalog.rows, *self._runtime.plugins]
            ready = [row for row in rows if row.state is State.READY and normalise_name(row.distribution) == key]
            if not ready:
                continue
            agents = tuple(row.name for row in ready if isinstance(row, LoadedAgent))
            version = self._runtime.distributions.version_of(name)
            text = "%s %s has joined this worker after %.0f ms, agents: %s"
            logger.info(text, name, version, ms, ", ".join(agents) or "none")
            self._runtime.events.emit(
                PluginsChanged(
                    distribution=name,
                    what=PICKED_UP,
                    loaded_version=version,
                    installed_version=version,
                    agents=agents,
                )
            )


def _try_apart(entries: Sequence[Entry], config: Config) -> Status | None:
    """Import a distribution in another process first: what ends that, or never ends there, would do so here.

    Returns:
        How it has ended that process; None where it has not, whatever else is wrong.
    """
    usable = tuple(one for one in entries if one.usable and not one.is_command)
    if not usable:
        return None
    with tempfile.TemporaryDirectory(prefix="openrtc-probe-", ignore_cleanup_errors=True) as scratch:
        folder, seconds = os.path.join(scratch, "new"), config.policy.import_seconds or NO_LIMIT
        probe = ProbeProcess(Request(folder, usable, config, seconds, PROBE_START_SECONDS), forks=False)
        run_processes([probe])
        findings = probe.read_findings()
    return findings.ended if findings.ended_at is not None else None


@contextlib.contextmanager
def _register_in(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let livekit-agents' plugins be registered that another thread imports: it takes them in the main one only."""
    before, plain = vars(Plugin)["register_plugin"], Plugin.register_plugin

    def register(plugin: Plugin) -> None:
        loop.call_soon_threadsafe(plain, plugin)

    setattr(Plugin, "register_plugin", staticmethod(register))  # noqa: B010 - a method, to a type checker
    try:
        yield
    finally:
        setattr(Plugin, "register_plugin", before)  # noqa: B010
