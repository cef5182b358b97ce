"""`Findings`: what a process has found of the entries that it has imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from openrtc.catalog.loaded import LoadedAgent
from openrtc.discovery.entries import Entry
from openrtc.model.check_result import CheckResult
from openrtc.model.lack import Lack
from openrtc.model.status import State, Status

Row = tuple[int, LoadedAgent]
"""The number of an entry, and an agent that it brings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a process has found.

    Args:
        loaded: What each entry brings.
        settled: The same when it is settled which of one name is used.
        plugins: Where each plugin and hook module stands, by the entry's number; one whose object was met before is
            left out.
        lines: What was said of the imports: each with its level.
        ended_at: The number of the entry at whose import the process has ended; None where it has not.
        ended: Why it has ended there.
        hung: Whether the import had no end.
        checks: What the plugins' checks have found, where they were called.
    """

    loaded: tuple[Row, ...] = ()
    settled: tuple[Row, ...] = ()
    plugins: Mapping[int, Status] = field(default_factory=dict)
    lines: tuple[tuple[int, str], ...] = ()
    ended_at: int | None = None
    ended: Status | None = None
    hung: bool = False
    checks: tuple[CheckResult, ...] = ()

    def find_status(self, number: int, name: str) -> Status | None:
        """Return where an entry stands, or an agent that it brings; None where it is not known.

        Args:
            number: The entry's number.
            name: The agent's name.
        """
        if self.ended_at is not None:
            return self.ended if self.ended_at == number else None
        plugin = self.plugins.get(number)
        if plugin is not None and not plugin.usable:
            return plugin
        return next((row.status for at, row in self.loaded if at == number and row.name == name), plugin)


def read_findings(result: Mapping[str, Any], entries: Sequence[Entry]) -> Findings:
    """Return what a process has written down.

    Args:
        result: That.
        entries: The entries that it was to import.
    """
    return Findings(
        loaded=tuple(_read_row(row, entries) for row in result.get("loaded", ())),
        settled=tuple(_read_row(row, entries) for row in result.get("settled", ())),
        plugins={int(number): _read_status(status) for number, status in result.get("plugins", {}).items()},
        lines=tuple((level, line) for level, line in result["lines"]),
        ended=_read_status(result["ended"]) if "ended" in result else None,
    )


def _read_row(row: Mapping[str, Any], entries: Sequence[Entry]) -> Row:
    fields = dict(row)
    number, summary = fields.pop("number"), fields.pop("summary")
    members, notes = tuple(fields.pop("members")), tuple(fields.pop("notes"))
    lacks = tuple(Lack(**lack) for lack in fields.pop("lacks"))
    status = _read_status(fields.pop("status"))
    entry = replace(entries[number], summary=summary)
    return number, LoadedAgent(entry=entry, status=status, members=members, notes=notes, lacks=lacks, **fields)


def _read_status(fields: Mapping[str, Any]) -> Status:
    return Status(**{**fields, "state": State(fields["state"])})
