"""How ``--help`` looks: as wide as the terminal, with examples."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping

from openrtc.cli.columns import fold, read_width


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Asks for the terminal's width itself: `argparse` asks for it with a module that takes 3 ms to import."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=read_width() - 2)  # as argparse has it


def show_examples(lines: Iterable[str]) -> str | None:
    """Return what stands below the options of a command, or None where there is no example."""
    shown = "\n".join(f"  {line}" for line in lines)
    return f"examples:\n{shown}" if shown else None


def list_summaries(summaries: Mapping[str, str]) -> str:
    """Return the commands as the help of ``openrtc`` lists them, each with its summary."""
    indent = " " * (max(map(len, summaries)) + 6)
    width = max(read_width() - 2 - len(indent), 20)
    lines = []
    for name, summary in summaries.items():
        first, *others = fold(summary, width)
        lines += [f"    {name}".ljust(len(indent)) + first, *(indent + line for line in others)]
    return "\n".join(["commands:", *lines])
