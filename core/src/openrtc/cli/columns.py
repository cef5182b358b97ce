"""The columns of a terminal: how many it has, how many a text takes, and where to break it."""

from __future__ import annotations

import os
from collections.abc import Iterator


def read_width() -> int:
    """Return the columns of the terminal, as ``COLUMNS`` or the terminal itself has them."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:  # not a terminal
        return 80


def measure(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # 1 MB that few need

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def fold(text: str, width: int) -> Iterator[str]:
    """Yield the lines that a text takes in so many columns: broken between words, and within a word that is longer."""
    line = ""
    for word in text.split(" "):
        if line and measure(line) + 1 + measure(word) > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
        while measure(line) > width and len(line) > 1:
            head = line[:width]
            while measure(head) > width and len(head) > 1:
                head = head[:-1]
            yield head
            line = line[len(head) :]
    yield line
