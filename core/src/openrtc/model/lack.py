"""`Lack`: something without which an agent that is ready cannot answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Lack:
    """Something without which an agent cannot answer.

    Args:
        kind: ``models``, ``key``, ``cloud`` or ``resource``.
        what: What it has not.
        fix: What to do about it.
    """

    kind: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what} ({self.fix})"

    def to_json(self) -> dict[str, str]:
        """Return the fields."""
        return asdict(self)
