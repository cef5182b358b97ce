"""What the commands print: tables for people, one clean JSON document for programs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from openrtc.cli.table import BOLD, DIM, style
from openrtc.errors import escape, one_line
from openrtc.model.status import State, Status

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_PRINTED = 4000
"""Characters of a line."""

PIPE_WIDTH = 4000
"""Columns where nobody looks: in a pipe each row stays one line, for grep."""

IGNORE_REQUIREMENTS = "A requirement that does not matter here: --ignore-requirements NAME (see docs/packages.md)"


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
    """Return a console for stdout as it is now: the terminal's width and colours, or neither in a pipe."""
    from openrtc.cli.safe_console import SafeConsole

    is_terminal = sys.stdout.isatty()
    wide = None if is_terminal or os.environ.get("COLUMNS") else PIPE_WIDTH
    return SafeConsole(width=wide, force_terminal=is_terminal or None, highlight=False, emoji=False)


def say(text: str, *, error: bool = False) -> None:
    """Print a line in which others' words do nothing to the terminal, and make no line of their own.

    Args:
        text: The line.
        error: Whether it goes to stderr.
    """
    print(escape(text, LONGEST_PRINTED), file=sys.stderr if error else sys.stdout, flush=True)


def print_warning(text: str) -> None:
    """Print a warning on stderr, in one line."""
    print(f"openrtc: warning: {one_line(text)}", file=sys.stderr)


def warn_of_drift(agents: Collection[str] | None = None, distributions: Collection[str] = ()) -> None:
    """Warn of what is installed otherwise than the workers on this machine have loaded it.

    Args:
        agents: Only of packages with one of these agents, by default of all.
        distributions: Also of these.
    """
    from openrtc.dispatch.local_drift import describe_local_drift

    for line in describe_local_drift(agents, distributions):
        print_warning(line)


@contextlib.contextmanager
def show_progress(what: str) -> Iterator[None]:
    """Say on a terminal what takes a while, until it is done; say nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield
        return
    print(f"{what} …", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def is_problem(row: Mapping[str, Any]) -> bool:
    """Whether an agent or plugin cannot be used, though the operator has not switched it off."""
    status = Status(State(row["state"]))
    return not (status.usable or status.switched_off)


def print_fixes(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print what fixes each problem and where its cause is, unbroken, so that it can be copied.

    Args:
        rows: Agents or plugins; what the operator has switched off is no problem, and what one lacks is one.
    """
    rows = list(rows)
    problems = list(filter(is_problem, rows))
    fixes = dict.fromkeys((row["name"], row["fix"], row["location"]) for row in problems)
    fixes |= dict.fromkeys((row["name"], lack["fix"], None) for row in rows for lack in row.get("lacks", ()))
    print_fix_lines(fixes)
    if any(row["state"] == State.INCOMPATIBLE for row in problems):
        print(style(f"  {IGNORE_REQUIREMENTS}", DIM))


def print_fix_lines(fixes: Iterable[tuple[str, str | None, str | None]]) -> None:
    """Print what to do, each once, unbroken, so that it can be copied.

    Args:
        fixes: What each concerns, what to do, and the place of the cause.
    """
    for number, (name, fix, location) in enumerate(dict.fromkeys(fixes)):
        if not number:
            print("\nHow to fix:")
        print(f"  {style(one_line(name), BOLD)}: {one_line(fix or 'see')}")
        if location:
            print(style(f"      {one_line(location)}", DIM))


def _point_at_stderr(descriptor: int) -> None:
    try:
        os.dup2(2, descriptor)
    except OSError:  # stderr is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
