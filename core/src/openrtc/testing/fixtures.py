"""What the fixtures of the pytest plugin are; livekit is imported when they are called."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import re
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pytest

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec, Cast
from openrtc.model.decision import Decision
from openrtc.model.names import normalise_name
from openrtc.model.request import RouteRequest
from openrtc.settings.config import Config
from openrtc.suggest import did_you_mean
from openrtc.testing.reports import fail_in_one_line

if TYPE_CHECKING:
    from openrtc.rehearsal.rehearse import Rehearsal
    from openrtc.rehearsal.script import ScriptedAnswer
    from openrtc.runtime.runtime import Runtime
    from openrtc.testing.worker_process import TestedWorker, Workers

RULE_MODEL = "rules"
"""The rule-based language model of openrtc-offline: it calls the agent's own tools, and says what they return."""

OWN_MODEL = "own"
"""The agent's own language model, with its key."""

_MODEL_WORDS = (RULE_MODEL, OWN_MODEL)

AnyMetadata = str | Mapping[str, Any]
AnyAgent = str | AgentSpec | Cast | Callable[..., Any]


class Runtimes:
    """What calls share, built once for all tests with the same settings and the same installed packages."""

    def __init__(self) -> None:
        self._built: list[tuple[Config, tuple[str, ...], Runtime]] = []

    def get(self, config: Config, specs: Sequence[AgentSpec] = ()) -> Runtime:
        """Return the runtime of some settings; with agents that only this test knows, a new one.

        Raises:
            OpenRTCError: The settings name something that does not exist.
        """
        from openrtc.runtime.runtime import build_runtime

        if specs:
            return build_runtime(config, specs=specs)
        path = tuple(sys.path)
        for known, there, runtime in self._built:
            if known == config and there == path:
                return runtime
        self._built.append((config, path, build_runtime(config)))
        return self._built[-1][-1]


class StartCall:
    """Talks to an agent in text; the fixture ``openrtc_call``."""

    def __init__(self, config: Config, runtimes: Runtimes, test: Path) -> None:
        self._config = config
        self._runtimes = runtimes
        self._test = test

    @contextlib.asynccontextmanager
    async def __call__(
        self,
        agent: AnyAgent = "",
        *,
        llm: str | Sequence[ScriptedAnswer] | Mapping[str, Sequence[ScriptedAnswer]] | Any = RULE_MODEL,
        starts: bool = True,
        room: str = "rehearsal",
        job_metadata: AnyMetadata = "",
        room_metadata: AnyMetadata = "",
        attributes: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Rehearsal]:
        """Build an agent as the worker would for a call, and talk to it in text.

        Args:
            agent: The name of an installed agent, or an ``Agent`` class, a factory, an `AgentSpec` or a `Cast`; empty
                leaves it to the routing.
            llm: What stands in for the agent's language model: ``rules``, a list of answers, of a cast a mapping from
                roles to lists, or a model of livekit-agents; ``own`` for its own, whose key is needed then.
            starts: Whether its session is started; otherwise it is only built.
            room: Name of the room that the routing and the agent see.
            job_metadata: AnyMetadata of the dispatch: text, or what is written as JSON.
            room_metadata: AnyMetadata of the room, likewise.
            attributes: Attributes of the dispatch.
        """
        _require_asyncio()
        from openrtc.rehearsal.errors import RehearsalError
        from openrtc.rehearsal.rehearse import rehearse

        with fail_in_one_line():
            specs = () if isinstance(agent, str) else (_build_spec(agent),)
            runtime = self._runtimes.get(self._config, specs)
            call = rehearse(
                runtime,
                specs[0].name if specs else str(agent),
                model=_choose_model(llm),
                starts=starts,
                room=room,
                job_metadata=_write_metadata(job_metadata),
                room_metadata=_write_metadata(room_metadata),
                attributes=attributes,
            )
            rehearsal = await call.__aenter__()
        with fail_in_one_line(RehearsalError, self._test):
            try:
                yield rehearsal
            except BaseException as error:  # whatever the test raises, its end ends the call
                await call.__aexit__(type(error), error, error.__traceback__)
                raise
            await call.__aexit__(None, None, None)
            rehearsal.require_running()
            rehearsal.check_complete()


class Route:
    """Finds which agent would take a call; the fixture ``openrtc_route``."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def __call__(
        self,
        room: str = "room",
        *,
        job_metadata: AnyMetadata = "",
        room_metadata: AnyMetadata = "",
        attributes: Mapping[str, str] | None = None,
        agent_name: str = "",
        agents: Sequence[AgentSpec] = (),
    ) -> Decision:
        """Return the decision, with its trace: the installed packages' routers are asked, no agent is imported.

        Args:
            room: Name of the room.
            job_metadata: AnyMetadata of the dispatch: text, or what is written as JSON.
            room_metadata: AnyMetadata of the room, likewise.
            attributes: Attributes of the dispatch.
            agent_name: The agent name of the dispatch; empty for automatic dispatch.
            agents: Agents that are there besides the installed ones.
        """
        from openrtc.routing.explain import explain_route

        request = RouteRequest.parse(
            room_name=room,
            agent_name=agent_name,
            attributes=attributes,
            job_metadata=_write_metadata(job_metadata),
            room_metadata=_write_metadata(room_metadata),
        )

        def explain() -> Decision:
            return explain_route(request, self._config, _ignore, specs=agents)[0]

        with fail_in_one_line():
            if not _is_in_loop():
                return explain()
            with ThreadPoolExecutor(1) as thread:  # which has no loop yet
                return thread.submit(explain).result()


class Install:
    """Installs distributions until the test is over; the fixture ``openrtc_install``.

    Args:
        folder: Where they are; it is put on `sys.path` with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._modules: set[str] = set()

    def __enter__(self) -> Self:
        self._modules = set(sys.modules)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if str(self.folder) not in sys.path:
            return
        sys.path.remove(str(self.folder))
        for name in set(sys.modules) - self._modules:
            module = sys.modules[name]
            place = getattr(module, "__file__", None) or str(list(getattr(module, "__path__", ())))
            if str(self.folder) in place:
                del sys.modules[name]
        importlib.invalidate_caches()

    def __call__(
        self,
        name: str,
        files: Mapping[str, str],
        *,
        agents: Mapping[str, str] | None = None,
        plugins: Mapping[str, str] | None = None,
        entry_points: Mapping[str, Mapping[str, str]] | None = None,
        version: str = "1.0",
        requires: Sequence[str] = (),
        summary: str = "",
    ) -> Path:
        """Install a distribution, and return the folder in which its modules are.

        Args:
            name: Its name.
            files: Its source files: paths such as ``flower_shop.py`` or ``flower_shop/desk.py``, and what they hold.
            agents: Entry points of the group ``openrtc.agents``, such as ``{"desk": "flower_shop:Desk"}``.
            plugins: Entry points of the group ``openrtc.plugins``.
            entry_points: Entry points of other groups, by group.
            version: Its version.
            requires: Its requirements; nothing is installed for them.
            summary: Its summary.
        """
        groups = {"openrtc.agents": agents, "openrtc.plugins": plugins, **(entry_points or {})}
        with fail_in_one_line():
            self._check(name, files)
            self.folder.mkdir(exist_ok=True)
            for path, source in files.items():
                _write(self.folder / path, textwrap.dedent(source))
            info = self.folder / f"{re.sub(r'[-_.]+', '_', name)}-{version}.dist-info"
            lines = ["AnyMetadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
            lines += [*([f"Summary: {summary}"] if summary else []), *(f"Requires-Dist: {one}" for one in requires)]
            _write(info / "METADATA", "\n".join([*lines, ""]))
            _write(info / "entry_points.txt", _write_entry_points(groups))
            own = [*files, *(f"{info.name}/{one}" for one in ("METADATA", "RECORD", "entry_points.txt"))]
            _write(info / "RECORD", "".join(f"{one},,\n" for one in own))
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        importlib.invalidate_caches()
        return self.folder

    def _check(self, name: str, files: Mapping[str, str]) -> None:
        from importlib.metadata import distributions

        fix = "give it another name"
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
            raise OpenRTCError(f"{name!r} is no name of a distribution", origin="openrtc_install", fix=fix)
        there = {normalise_name(str(one.metadata["Name"] or "")) for one in distributions()}
        if normalise_name(name) in there:
            raise OpenRTCError(f"{name} is installed already", origin="openrtc_install", fix=fix)
        for path in files:
            target = (self.folder / path).resolve()
            if not target.is_relative_to(self.folder.resolve()):
                raise OpenRTCError(f"{path!r} leaves the folder", origin="openrtc_install", fix="write a relative path")
            if target.exists():
                what = f"{path} is another distribution's, which this test has installed"
                raise OpenRTCError(what, origin="openrtc_install", fix="give it another name")


class RunWorker:
    """Runs workers; the fixture ``openrtc_worker``.

    Args:
        workers: Those of all tests.
        install: What this test installs, which its worker sees.
    """

    def __init__(self, workers: Workers, install: Install | None) -> None:
        self._workers = workers
        self._install = install
        self._own: list[TestedWorker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._own:
            self._workers.stop(worker)

    def __call__(self, *options: str, variables: Mapping[str, str] | None = None) -> TestedWorker:
        """Return a worker that is registered with a LiveKit server of this machine; both end with the tests.

        Tests that ask for the same get the same one, but for those that install a distribution.

        Args:
            *options: Further options of ``openrtc start``; it has ``--offline``.
            variables: Further variables of its environment.
        """
        folder = self._install.folder if self._install and self._install.folder.exists() else None
        with fail_in_one_line():
            worker = self._workers.get(options, variables or {}, folder)
        if folder:
            self._own.append(worker)
        return worker


def _build_spec(agent: Any) -> AgentSpec:
    if isinstance(agent, AgentSpec):
        from dataclasses import replace

        return agent if agent.name else replace(agent, name="agent")
    return AgentSpec(name="agent", cast=agent) if isinstance(agent, Cast) else AgentSpec(name="agent", agent=agent)


def _choose_model(llm: Any) -> Any:
    from openrtc.rehearsal.script import Script
    from openrtc.runtime.providers import OFFLINE

    if llm == RULE_MODEL:
        return OFFLINE
    if llm == OWN_MODEL:
        return None
    if isinstance(llm, str) and not re.search("[:/]", llm):
        fix = f"write {RULE_MODEL!r}, {OWN_MODEL!r}, a list of answers, or a model string"
        raise OpenRTCError(f"llm={llm!r} is no model", origin="openrtc_call", fix=did_you_mean(llm, _MODEL_WORDS, fix))
    if isinstance(llm, Mapping):
        scripts = {role: Script(answers, role) for role, answers in llm.items()}
        return lambda call: _find_script(scripts, call)
    return Script(llm) if isinstance(llm, list | tuple) else llm


def _find_script(scripts: Mapping[str, Any], call: Any) -> Any:
    role = call.cast_member.role if call.cast_member else call.agent_name
    if role not in scripts:
        fix = f'llm={{…, "{role}": […]}}, with [] for one that is never asked'
        raise OpenRTCError(f"there is no script for {role!r}", origin="openrtc_call", fix=fix)
    return scripts[role]


def _write_metadata(metadata: AnyMetadata) -> str:
    return metadata if isinstance(metadata, str) else json.dumps(metadata)


def _write_entry_points(groups: Mapping[str, Mapping[str, str] | None]) -> str:
    given = {group: named for group, named in groups.items() if named}
    return "\n".join(
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in given.items()
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _require_asyncio() -> None:
    if not _is_in_loop():
        pytest.fail(
            "openrtc_call needs asyncio's loop: livekit-agents works with no other, such as trio", pytrace=False
        )


def _ignore(_: str) -> None:
    """Show no warning: a test looks at the decision."""
