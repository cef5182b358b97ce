"""Tables for people, without rich: its import and its rendering would take a third of ``list-agents``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

from openrtc.cli.columns import fold, measure, read_width
from openrtc.errors import one_line

STYLES = {
    "ready": "32",
    "ok": "32",
    "warning": "33",
    "fault": "1;31",
    "installed": "32",
    "lacking": "33",
    "disabled": "2",
    "not-allowed": "2",
    "incompatible": "33",
    "conflict": "33",
    "broken": "1;31",
    "passed": "32",
    "failed": "1;31",
    "not checked": "33",
    "does not apply": "2",
}
"""The colour of each state, as the number that a terminal takes."""

BOLD, DIM = "1", "2"
UNBROKEN = ("State", "ms")
"""Headings of columns that stay as wide as they are."""
NARROWEST = 10
"""Columns that a folded column keeps."""
LONGEST = 2000
"""Characters that are shown of one cell."""
GAP = "  "


class TextTable:
    """Rows below headings; the first column is bold, states have their colours, and nothing is cut off.

    Args:
        *headings: Of the columns; ``State`` has the states' colours, ``ms`` is aligned to the right.
    """

    def __init__(self, *headings: str) -> None:
        self._headings = headings
        self._rows: list[list[str]] = []

    def add(self, *cells: str) -> None:
        """Add a row; white space and what cannot be printed are folded."""
        self._rows.append([one_line(cell, LONGEST) for cell in cells])

    def print(self) -> None:
        """Print it on stdout: as wide as the terminal, and in a pipe each row in one line, for grep."""
        looked_at = sys.stdout.isatty() or "COLUMNS" in os.environ
        print("\n".join(self.list_lines(read_width() if looked_at else None)))

    def list_lines(self, width: int | None) -> Iterator[str]:
        """Yield its lines.

        Args:
            width: Columns of the terminal; None where there is none.
        """
        widths = [max(map(measure, column)) for column in zip(self._headings, *self._rows, strict=True)]
        if width is not None:
            _narrow(widths, self._headings, width - 1)
        yield ""
        yield from self._fold_row(self._headings, widths, heading=True)
        rule = "─" if (sys.stdout.encoding or "").lower().startswith("utf") else "-"
        yield " " + rule * min(sum(widths) + len(GAP) * (len(widths) - 1), width or 160)
        for row in self._rows:
            yield from self._fold_row(row, widths)
        yield ""

    def _fold_row(self, row: Sequence[str], widths: Sequence[int], *, heading: bool = False) -> Iterator[str]:
        folded = [list(fold(cell, width)) for cell, width in zip(row, widths, strict=True)]
        for number in range(max(map(len, folded))):
            parts = []
            for place, (lines, width) in enumerate(zip(folded, widths, strict=True)):
                text = lines[number] if number < len(lines) else ""
                padding = " " * (width - measure(text))
                shown = style(text, self._choose_style(place, row[place], heading))
                parts.append(padding + shown if self._headings[place] == "ms" else shown + padding)
            yield " " + GAP.join(parts).rstrip()

    def _choose_style(self, place: int, cell: str, heading: bool) -> str:
        if heading or place == 0:
            return BOLD
        return STYLES.get(cell, "") if self._headings[place] == "State" else ""


def style(text: str, code: str) -> str:
    """Return a text in a style, where stdout is a terminal that shows it and nobody has set ``NO_COLOR``."""
    plain = not (text and code) or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return text if plain or not sys.stdout.isatty() else f"\x1b[{code}m{text}\x1b[0m"


def _narrow(widths: list[int], headings: Sequence[str], width: int) -> None:
    """Make the widest columns narrower until all of them fit, or are as narrow as can be read."""
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    while excess > 0:
        wide = [
            place for place, heading in enumerate(headings) if heading not in UNBROKEN and widths[place] > NARROWEST
        ]
        if not wide:
            return
        widest = max(wide, key=lambda place: widths[place])
        widths[widest] -= 1
        excess -= 1
