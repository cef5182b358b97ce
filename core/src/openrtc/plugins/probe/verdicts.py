"""What a worker makes of each entry, and whether that differs from what it is alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openrtc.catalog.loaded import LoadedAgent
from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.model.check_result import CheckResult
from openrtc.model.status import READY, State, Status
from openrtc.plugins.probe.child import Request, describe_loaded
from openrtc.plugins.probe.findings import Findings, read_findings
from openrtc.plugins.probe.processes import ProbeProcess, run_processes
from openrtc.settings.config import Config

MOST_SEARCHES = 3
"""For how many entries the package that makes the difference is looked for among all before them: each takes a process
for each doubling of their number, and one package mostly does it to all."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be tried.

    Args:
        entries: The entries in a worker's order.
        config: The settings.
        timeout: Seconds that each import may take.
        start_timeout: Seconds more that a process may take.
        folder: Where the processes write.
        checks: Whether the plugins' checks are called where all entries are imported together.
    """

    entries: Sequence[Entry]
    config: Config
    timeout: float
    start_timeout: float
    folder: Path
    checks: bool = False


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was found.

    Args:
        agents: Every agent as a worker would have it.
        lines: What was said of the imports: each with its level.
        plugins: Where each plugin stands, by the number of its entry.
        checks: What the plugins' checks have found.
    """

    agents: list[LoadedAgent]
    lines: list[tuple[int, str]] = field(default_factory=list)
    plugins: Mapping[int, Status] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()


def judge(trial: Trial, *, copies: bool = False, stop: Collection[Any] = ()) -> Verdicts:
    """Import each entry alone, then all in a worker's order, and return that one's verdict.

    Args:
        trial: The entries.
        copies: Whether the processes are copies of this one.
        stop: As in `run_processes`.
    """
    runner = _Runner(trial, copies, stop)
    usable = [number for number, entry in enumerate(trial.entries) if entry.usable]
    alone = dict(zip(usable, runner.run([trial.entries[number]] for number in usable), strict=True))
    gone = _Gone(trial.entries)
    for number, found in alone.items():
        if found.hung:
            gone.add(number, found)
    together = _import_together(runner, gone)
    judgement = _Judgement(runner, alone, together, gone)
    agents = [agent for number, entry in enumerate(trial.entries) for agent in judgement.settle(number, entry)]
    said = [line for found in (*alone.values(), together) for line in found.lines]
    return Verdicts(agents, list(dict.fromkeys(said)), together.plugins, together.checks)


class _Runner:
    """Runs processes that import entries.

    Args:
        trial: What is tried.
        copies: As in `judge`.
        stop: As in `run_processes`.
    """

    def __init__(self, trial: Trial, copies: bool, stop: Collection[Any]) -> None:
        self.trial = trial
        self._copies = copies
        self._stop = stop
        self._count = 0

    def run(self, groups: Iterable[Sequence[Entry]], *, checks: bool = False) -> list[Findings]:
        """Import each group in a process of its own; where nothing of one is usable, there is nothing to import."""
        probes = [ProbeProcess(self._request(group, checks), forks=self._copies) for group in groups]
        run_processes([probe for probe in probes if probe.request.usable], self._stop)
        return [_read(probe) for probe in probes]

    def _request(self, entries: Sequence[Entry], checks: bool) -> Request:
        self._count += 1
        folder = self.trial.folder / str(self._count)
        trial = self.trial
        return Request(str(folder), tuple(entries), trial.config, trial.timeout, trial.start_timeout, checks)


def _read(probe: ProbeProcess) -> Findings:
    request = probe.request
    if request.usable:
        return probe.read_findings()
    return read_findings({**describe_loaded(request, request.entries), "lines": ()}, request.entries)


class _Gone:
    """The entries that are left out, since an import ends a worker, or has no end.

    Args:
        entries: All entries.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self.statuses: dict[int, Status] = {}
        """Where they stand, by their numbers."""
        self.left_out: set[int] = set()
        """Those that are left out since another one of their distribution has no end, as a worker does it."""

    def add(self, number: int, found: Findings) -> None:
        """Leave out an entry."""
        assert found.ended is not None
        if not found.hung:
            self.statuses[number] = replace(found.ended, reason=f"{found.ended.reason}; a worker ends there")
            return
        distribution = self._entries[number].distribution
        for other, entry in enumerate(self._entries):
            if entry.distribution == distribution and entry.usable and other not in self.statuses:
                self.statuses[other] = found.ended
                self.left_out |= {other} - {number}


def _import_together(runner: _Runner, gone: _Gone) -> Findings:
    """Import all entries in one process; one that ends it becomes one of ``gone``, and the others are imported again.

    Args:
        runner: Runs the process.
        gone: What is left out.
    """
    statuses = gone.statuses
    while True:
        numbered = enumerate(runner.trial.entries)
        left = [replace(e, status=statuses[n]) if n in statuses else e for n, e in numbered]
        (found,) = runner.run([left], checks=runner.trial.checks)
        if found.ended_at is None:
            return found
        gone.add(found.ended_at, found)


class _Judgement:
    def __init__(self, runner: _Runner, alone: dict[int, Findings], together: Findings, gone: _Gone) -> None:
        self._runner = runner
        self._entries = runner.trial.entries
        self._alone = alone
        self._together = together
        self._gone = gone
        self._causes: list[int] = []
        self._searches = 0

    def settle(self, number: int, entry: Entry) -> list[LoadedAgent]:
        """Return the agents of an entry as a worker has them; an entry of a plugin may have none."""
        plugin = self._together.plugins.get(number)
        if plugin is not None and not plugin.usable:
            return self._settle_broken(number, entry, plugin)
        settled = [agent for at, agent in self._together.settled if at == number]
        if not settled and plugin is not None and entry.group == AGENTS_GROUP:
            empty = replace(entry, summary=f"{entry.summary} (brings no agent)".strip())
            settled = [LoadedAgent(name=entry.name, entry=empty)]
        return [self._compare(number, agent, self._together.find_status(number, agent.name)) for agent in settled]

    def _settle_broken(self, number: int, entry: Entry, status: Status) -> list[LoadedAgent]:
        """Return a hook module that cannot be used as a row; of such a plugin, the agents that it would bring."""
        if entry.group == AGENTS_GROUP or number in self._gone.statuses:
            return [self._compare(number, LoadedAgent.of_entry(entry, status), status)]
        found = [agent for _, agent in self._alone[number].loaded] if number in self._alone else []
        return [self._compare(number, replace(agent, status=status), status) for agent in found if agent.usable]

    def _compare(self, number: int, agent: LoadedAgent, loaded: Status | None) -> LoadedAgent:
        """Return an agent with what it is alone, where that differs.

        Args:
            number: The number of its entry.
            agent: The agent as a worker has it.
            loaded: Where it stands together, before names and casts are settled.
        """
        alone = self._alone[number].find_status(0, agent.name) if number in self._alone else None
        if loaded is None or alone is None or alone.usable == loaded.usable or number in self._gone.left_out:
            return agent
        cause = self._find_cause(number, agent.name, loaded.usable)
        if loaded.usable:
            return replace(agent, alone=alone, because_of=cause)
        if agent.state is not State.BROKEN:  # what the operator has switched off
            return agent
        return replace(agent, status=_explain_company(agent, cause), alone=READY, because_of=cause)

    def _find_cause(self, number: int, name: str, usable: bool) -> str:
        """Return the distribution after which alone an entry does what it does after all; empty where none is found."""

        def shows(group: Sequence[int]) -> bool:
            (found,) = self._runner.run([[self._entries[one] for one in (*group, number)]])
            status = found.find_status(len(group), name)
            return status is not None and status.usable is usable

        before = [one for one in range(number) if self._entries[one].usable and one not in self._gone.statuses]
        for cause in self._causes:
            if cause in before and shows([cause]):
                return self._entries[cause].distribution
        if not before or self._searches == MOST_SEARCHES:
            return ""
        self._searches += 1
        few, many = 0, len(before)
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if shows(before[:middle]) else (middle, many)
        cause = before[many - 1]
        if not shows([cause]):
            return ""
        self._causes.append(cause)
        return self._entries[cause].distribution


def _explain_company(agent: LoadedAgent, cause: str) -> Status:
    """Return where an agent stands that would work alone."""
    if not cause:
        return replace(agent.status, reason=f"{agent.reason}; it works alone")
    fix = f"fix or update {cause} or {agent.distribution}, or switch one of them off: --deny {cause}"
    return replace(agent.status, reason=f"{agent.reason}; it works alone, and fails after {cause}", fix=fix)
