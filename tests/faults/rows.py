"""The table of faults: what was done, what the bystander heard, what the operator saw, what was lost."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

WIDTH = 60
NOBODY = "-"
"""Stands where nobody listened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault.

    Args:
        fault: What was done.
        control: Longest hole of the bystander, in seconds, while healthy calls came and went; None where another
            worker is looked at.
        hole: Longest hole of the bystander during the fault; None where there was no bystander.
        operator: The log line that reports it; empty where there is none.
        lost: What was lost.
        command: What repeats it.
        passed: Whether everything that must hold did.
    """

    fault: str
    control: float | None
    hole: float | None
    operator: str
    lost: str
    command: str
    passed: bool


@dataclass(slots=True, kw_only=True)
class PendingRow:
    """What becomes a row while a test goes on; see `Row`."""

    fault: str = ""
    control: float | None = None
    hole: float | None = None
    operator: str = ""
    lost: str = ""

    def row(self, command: str, *, passed: bool) -> Row:
        """Return the row."""
        return Row(
            fault=self.fault,
            control=self.control,
            hole=self.hole,
            operator=self.operator,
            lost=self.lost,
            command=command,
            passed=passed,
        )


def as_text(rows: Sequence[Row]) -> list[str]:
    """Return the table for a terminal, one fault a paragraph of one or more lines."""
    lines = [_line("fault", "control", "bystander", "what the operator saw", "lost")]
    lines += [_line("-" * 44, "-" * 7, "-" * 9, "-" * WIDTH, "-" * 30)]
    for row in rows:
        lines += _paragraph(row)
    return lines


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table in Markdown."""
    head = "| fault | control | bystander's longest hole | what the operator saw | lost | repeat |"
    return "\n".join([head, "|---|---|---|---|---|---|", *(_markdown(row) for row in rows), ""])


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the table: as JSON to a path that ends in ``.json``, else in Markdown."""
    json_text = json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n"
    path.write_text(json_text if path.suffix == ".json" else as_markdown(rows))


def _paragraph(row: Row) -> list[str]:
    fault = textwrap.wrap(row.fault if row.passed else f"FAILED {row.fault}", 44)
    operator = textwrap.wrap(row.operator or "nothing", WIDTH, max_lines=3, placeholder=" …")
    lost = textwrap.wrap(row.lost, 30)
    height = max(len(fault), len(operator), len(lost))
    padded = [column + [""] * (height - len(column)) for column in (fault, operator, lost)]
    figures = [(_seconds(row.control), _seconds(row.hole)), *[("", "")] * (height - 1)]
    return [
        _line(what, control, heard, seen, gone)
        for what, (control, heard), seen, gone in zip(padded[0], figures, padded[1], padded[2], strict=True)
    ]


def _seconds(value: float | None) -> str:
    return NOBODY if value is None else f"{value:.2f} s"


def _line(fault: str, control: str, hole: str, operator: str, lost: str) -> str:
    return f"{fault:<44}  {control:>7}  {hole:>9}  {operator:<{WIDTH}}  {lost}".rstrip()


def _markdown(row: Row) -> str:
    cells = [
        row.fault,
        _seconds(row.control),
        _seconds(row.hole),
        f"`{row.operator}`" if row.operator else "nothing",
        row.lost,
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
