"""Writes the table of docs/reliability.md from what was measured.

python -m nox -s faults -- --fault-table faults.json
python benchmarks/peer_faults.py peer/bin/python --json peer.json
python benchmarks/clusters.py --only peer --peer peer/bin/python --json nodes.json
python docs/generate_reliability.py faults.json peer.json nodes.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "reliability.md"
BEGIN, END = "<!-- table: docs/generate_reliability.py -->", "<!-- end of the table -->"
HEAD = (
    "| fault | ours: longest hole | the peer's | the operator sees | lost | `python -m nox -s faults -- …` |\n"
    "|---|---|---|---|---|---|\n"
)
NOT_RUN = ""
LONGEST = 150


def main() -> None:
    """Put the table into the page."""
    faults, *peers = (json.loads(Path(path).read_text()) for path in sys.argv[1:])
    peer = {fault: what for one in peers for fault, what in one.items()}
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + "\n" + HEAD + "".join(row(one, peer) for one in faults) + END + after)


def row(fault: Mapping[str, Any], peer: Mapping[str, str]) -> str:
    """Return one line of the table."""
    if not fault["passed"]:
        raise SystemExit(f"failed: {fault['fault']}")
    hole = "–" if fault["hole"] is None else f"{fault['hole']:.2f} s"
    seen = f"`{shorten(fault['operator'])}`" if fault["operator"] else "nothing"
    cells = [fault["fault"], hole, peer.get(fault["fault"], NOT_RUN), seen, fault["lost"], f"`{test_of(fault)}`"]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def shorten(text: str) -> str:
    """Return a log line without what makes it too long for a table."""
    text = text.replace("`", "'")
    return text if len(text) <= LONGEST else text[: LONGEST - 2] + " …"


def test_of(fault: Mapping[str, Any]) -> str:
    """Return what repeats one fault, as an argument of pytest."""
    return str(fault["command"]).partition(" -- ")[2]


if __name__ == "__main__":
    main()
