"""`FindingsFile`: what the process has found in which a package is imported and called, though it may not come back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from openrtc.check.card import Finding, read_finding

FINDINGS, STACK, REQUEST = "findings.jsonl", "stack.txt", "request.json"


class FindingsFile:
    """A file of findings, of which each is written as soon as it is made.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FINDINGS

    def add(self, findings: Iterable[Finding]) -> None:
        """Write findings."""
        self._write(*({"finding": one.to_json()} for one in findings))

    def note(self, **fields: Any) -> None:
        """Write anything else that the process says."""
        self._write(fields)

    def read(self) -> tuple[list[Finding], dict[str, Any]]:
        """Return the findings, and what else was said: of each name the last value."""
        findings: list[Finding] = []
        noted: dict[str, Any] = {}
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        for line in lines:
            try:
                fields = json.loads(line)
            except ValueError:  # the process has ended within it
                continue
            if "finding" in fields:
                findings.append(read_finding(fields["finding"]))
            else:
                noted |= fields
        return findings, noted

    def _write(self, *records: Any) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records))
