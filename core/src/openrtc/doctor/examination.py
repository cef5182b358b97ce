"""Runs all checks of `openrtc doctor`: what waits or starts processes goes on beside the rest."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.name_checks import check_distribution_names
from openrtc.discovery.discover import discover
from openrtc.discovery.entries import Entry
from openrtc.discovery.hidden_livekit import show_livekit
from openrtc.discovery.installed import find_installed
from openrtc.dispatch.local_server import list_fitting
from openrtc.dispatch.server_probe import probe_server
from openrtc.doctor.installation import (
    INTERPRETER,
    PACKAGES,
    check_leftovers,
    check_python,
    check_requirements,
)
from openrtc.doctor.machine import (
    DESCRIPTORS,
    EVENTS,
    PORTS,
    WORKERS,
    check_descriptors,
    check_event_file,
    check_ports,
    check_workers,
)
from openrtc.doctor.model_files import MODELS, check_model_files
from openrtc.doctor.packages import (
    AGENTS,
    IMPORTS,
    PLUGINS,
    POLICY,
    check_agents,
    check_entries,
    check_imports,
    check_plugins,
    check_policy,
)
from openrtc.doctor.processes import list_processes
from openrtc.doctor.results import LEFTOVERS, REQUIREMENTS, fail, guard, of_line, warn
from openrtc.doctor.secrets import blank_secrets, leave_out_secrets, list_secrets
from openrtc.doctor.server import SERVER, judge_server, looks_swapped
from openrtc.doctor.settings import CREDENTIALS, SETTINGS, check_credentials, check_settings, find_origin
from openrtc.errors import OpenRTCError
from openrtc.model.check_result import CheckResult, Verdict
from openrtc.observe.snapshots import read_snapshots
from openrtc.observe.sockets import why_not_private
from openrtc.plugins.probe.probe import probe_entries
from openrtc.plugins.probe.verdicts import Verdicts
from openrtc.posix import has_unix_sockets
from openrtc.settings.config import Config, WorkerSettings


@dataclass(frozen=True, slots=True)
class Machine:
    """What is looked at.

    Args:
        config: The settings, as far as they can be read.
        errors: What is wrong with them.
        commands: Returns the commands among what is installed, with their states.
    """

    config: Config
    errors: Sequence[OpenRTCError]
    commands: Callable[[Iterable[Entry]], Sequence[Entry]]


def examine(given: Machine) -> list[CheckResult]:
    """Look at everything, and return what was found, in the order in which it is shown; no secret is in it.

    Args:
        given: The settings.
    """
    config = given.config
    secrets = list_secrets(config, os.environ)
    config.env_files.export(os.environ)  # as for a worker: packages may read their keys at import
    return blank_secrets(_run(given), secrets)


def _run(given: Machine) -> Iterator[CheckResult]:
    """Yield what every check finds; first stands what the rest depends on."""
    config = given.config
    show_livekit()
    requirements = guard(REQUIREMENTS, check_requirements)
    warned: list[str] = []
    unknown: list[str] = []
    entries = _settle_commands(discover(config, warned.append), given.commands)
    passed_over = find_installed().passed_over
    check_distribution_names(config, entries, unknown.append)
    workers = [] if not has_unix_sockets() or why_not_private() else read_snapshots(tidy=False)
    local = _find_local(config, workers)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="doctor") as threads:
        # Begun only when the imports go on elsewhere, since a process with a thread is not copied.
        server = _Once(lambda: threads.submit(guard, SERVER, lambda: _check_server(local or config.worker, config)))
        vital = next((one for one in requirements if one.verdict == Verdict.FAULT), None)
        tried, untried = _try_packages(entries, config, vital, server.begin)
        catalog = Catalog(tuple(tried.agents))
        yield from guard(INTERPRETER, lambda: check_python(os.environ))
        yield from requirements
        yield from guard(SETTINGS, lambda: check_settings(config, given.errors, unknown))
        yield from guard(CREDENTIALS, lambda: check_credentials(config, local))
        yield from server.begin().result()
    yield from guard(PORTS, lambda: check_ports(config, workers))
    yield from guard(DESCRIPTORS, lambda: check_descriptors(catalog, config))
    yield from guard(EVENTS, lambda: check_event_file(config))
    yield from guard(WORKERS, lambda: check_workers(workers, list(list_processes())))
    yield from guard(POLICY, lambda: check_policy(config, entries))
    yield from guard(AGENTS, lambda: check_entries(entries))
    yield from untried or guard(AGENTS, lambda: check_agents(tried.agents, config))
    yield from guard(PLUGINS, lambda: check_plugins(entries, tried.plugins))
    yield from () if untried else guard(IMPORTS, lambda: check_imports(tried.lines))
    yield from tried.checks
    yield from guard(MODELS, lambda: check_model_files(os.environ))
    yield from (of_line(PACKAGES, line) for line in warned if line not in set(passed_over))
    yield from guard(LEFTOVERS, lambda: check_leftovers(passed_over))


class _Once:
    """Begins something when it is first asked for.

    Args:
        start: Begins it.
    """

    def __init__(self, start: Callable[[], Future[list[CheckResult]]]) -> None:
        self._start = start
        self._begun: Future[list[CheckResult]] | None = None

    def begin(self) -> Future[list[CheckResult]]:
        """Begin it, where it is not begun yet."""
        self._begun = self._begun or self._start()
        return self._begun


def _try_packages(
    entries: Sequence[Entry], config: Config, vital: CheckResult | None, started: Callable[[], object]
) -> tuple[Verdicts, list[CheckResult]]:
    """Return what a worker would make of the packages, and why they are not tried, if they are not."""
    if vital is not None:
        started()
        message = f"they are not tried, since no import works so: {vital.message}"
        return Verdicts([]), [warn(AGENTS, message, f"first {vital.fix}")]
    try:
        return probe_entries(entries, leave_out_secrets(config), checks=True, started=started), []
    except OpenRTCError as error:  # there is no folder for temporary files
        return Verdicts([]), [fail(AGENTS, error.message, error.fix or "")]


def _settle_commands(
    entries: Sequence[Entry], find_commands: Callable[[Iterable[Entry]], Sequence[Entry]]
) -> tuple[Entry, ...]:
    commands = iter(find_commands(entries))
    return tuple(next(commands) if one.is_command else one for one in entries)


def _find_local(config: Config, workers: Sequence[dict[str, object]]) -> WorkerSettings | None:
    worker = config.worker
    if all((worker.url, worker.api_key, worker.api_secret)):
        return None
    found = {one.url: one for one in list_fitting(worker, workers)}
    return next(iter(found.values())) if len(found) == 1 else None


def _check_server(server: WorkerSettings, config: Config) -> list[CheckResult]:
    if not server.url:
        return []
    key, secret = server.api_key, server.api_secret
    answer = asyncio.run(probe_server(server.url, key, secret))
    origin = find_origin(config, "url")
    return list(judge_server(answer, server.url, origin=origin, looks_swapped=looks_swapped(key, secret)))
