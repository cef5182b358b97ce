"""The one error a user sees: what was wrong, where it came from, how to mend it."""

from __future__ import annotations


class OpenRTCError(Exception):
    """A mistake in a package, a setting or a command, told in one line.

    Args:
        message: What was wrong.
        origin: Where it came from: a distribution, an entry point, ``file:line``, a flag or a variable.
        fix: What the reader can do about it.
    """

    def __init__(self, message: str, *, origin: str | None = None, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.origin = origin
        self.fix = fix

    def __str__(self) -> str:
        where = f"{self.origin}: " if self.origin else ""
        mend = f" ({self.fix})" if self.fix else ""
        return one_line(f"{where}{self.message}{mend}")


def one_line(text: str, limit: int = 500) -> str:
    """Return ``text`` with white space and control characters folded, at most ``limit`` characters long."""
    folded = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"
