"""What the commands print: tables for people, one clean JSON document for programs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from openrtc.errors import one_line
from openrtc.model.status import State, Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

PIPE_WIDTH = 4000
"""Columns where nobody looks: in a pipe each row stays one line, for grep."""

IGNORE_REQUIREMENTS = "A requirement that does not matter here: --ignore-requirements NAME (see docs/packages.md)"

STYLES = {
    "ready": "green",
    "installed": "green",
    "lacking": "yellow",
    "disabled": "dim",
    "not-allowed": "dim",
    "incompatible": "yellow",
    "conflict": "yellow",
    "broken": "bold red",
}


@contextlib.contextmanager
def json_output() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Keep stdout for one JSON document: whatever packages or C code print from now on goes to stderr.

    That holds until the process ends, so that what is printed at exit cannot follow the document.

    Yields:
        A function that writes the document.
    """
    import json

    sys.stdout.flush()
    kept = os.dup(1)
    _point_at_stderr(1)
    before, sys.stdout = sys.stdout, sys.stderr
    # Python flushes the first stdout at exit; what a package has left in it must go to stderr too.
    before.flush()
    with os.fdopen(kept, "w", encoding="utf-8") as stdout:

        def write(document: Mapping[str, Any]) -> None:
            stdout.write(json.dumps(document, indent=2) + "\n")
            stdout.flush()

        yield write


def print_json(**fields: Any) -> None:
    """Print the one JSON document of a command, with the version of its schema."""
    with json_output() as write:
        write({"schema_version": 1, **fields})


def build_console() -> Console:
    """Return a console for stdout: the terminal's width and colours, or neither in a pipe."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(width=wide, highlight=False, emoji=False)


def style_state(state: str) -> Text:
    """Return a state in its colour."""
    from rich.text import Text

    return Text(state, style=STYLES.get(state, ""))


def print_warning(text: str) -> None:
    """Print a warning on stderr, in one line."""
    print(f"openrtc: warning: {one_line(text)}", file=sys.stderr)


def is_problem(row: Mapping[str, Any]) -> bool:
    """Whether an agent or plugin cannot be used, though the operator has not switched it off."""
    status = Status(State(row["state"]))
    return not (status.usable or status.switched_off)


def build_table(*headings: str) -> Table:
    """Return a table whose first column is bold and in which nothing is cut off."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(
            heading,
            overflow="fold",
            style="bold" if heading == headings[0] else "",
            justify="right" if heading == "ms" else "left",
            no_wrap=heading in ("State", "ms"),
        )
    return table


def print_fixes(out: Console, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print what fixes each problem and where its cause is, unbroken, so that it can be copied.

    Args:
        out: Where to.
        rows: Agents or plugins; what the operator has switched off is no problem, and what one lacks is one.
    """
    from rich.text import Text

    rows = list(rows)
    problems = list(filter(is_problem, rows))
    fixes = dict.fromkeys((row["name"], row["fix"], row["location"]) for row in problems)
    fixes |= dict.fromkeys((row["name"], lack["fix"], None) for row in rows for lack in row.get("lacks", ()))
    if fixes:
        out.print("\nHow to fix:")
    for name, fix, location in fixes:
        out.print(Text.assemble("  ", (name, "bold"), f": {one_line(fix or 'see')}"), soft_wrap=True)
        if location:
            out.print(Text(f"      {one_line(location)}", style="dim"), soft_wrap=True)
    if any(row["state"] == State.INCOMPATIBLE for row in problems):
        out.print(Text(f"  {IGNORE_REQUIREMENTS}", style="dim"), soft_wrap=True)


def _point_at_stderr(descriptor: int) -> None:
    try:
        os.dup2(2, descriptor)
    except OSError:  # stderr is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
