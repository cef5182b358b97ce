"""How ``--help`` looks: as wide as the terminal, with examples."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Asks for the terminal's width itself: `argparse` asks for it with a module that takes 3 ms to import."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=read_width() - 2)  # as argparse has it


def show_examples(lines: Iterable[str]) -> str | None:
    """Return what stands below the options of a command, or None where there is no example."""
    shown = "\n".join(f"  {line}" for line in lines)
    return f"examples:\n{shown}" if shown else None


def read_width() -> int:
    """Return the columns of the terminal, as ``COLUMNS`` or the terminal itself has them."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:  # not a terminal
        return 80
