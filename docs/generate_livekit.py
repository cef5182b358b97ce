"""Writes the table of docs/livekit.md from the ways that are tested: `python docs/generate_livekit.py`."""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).with_name("livekit.md")
TESTS = PAGE.parents[1] / "tests"
BEGIN, END = "<!-- table: docs/generate_livekit.py -->", "<!-- end of the table -->"
HEAD = "| agent | written with | what is heard | what else is compared | lines to change |\n|---|---|---|---|---|\n"


def page() -> str:
    """Return the whole page."""
    from e2e.livekit_ways.ways import WAYS

    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return before + BEGIN + "\n" + HEAD + "".join(way.row for way in WAYS) + END + after


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    PAGE.write_text(page(), encoding="utf-8")
