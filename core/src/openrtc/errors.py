"""The one error a user sees: what was wrong, where it came from, how to fix it."""

from __future__ import annotations


class OpenRTCError(Exception):
    """A mistake in a package, a setting or a command, shown in one line.

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
        fix = f" ({self.fix})" if self.fix else ""
        return one_line(f"{where}{self.message}{fix}")


def summarize_error(error: BaseException, limit: int = 500) -> str:
    """Return an `OpenRTCError`'s own words, or the type and message of any other error, in one line."""
    if isinstance(error, OpenRTCError):
        return str(error)
    try:
        return one_line(f"{type(error).__name__}: {error}", limit)
    except Exception as second:  # __str__ may be somebody's and fail too: the report must not fail with it
        return f"{type(error).__name__}: its message cannot be read: {type(second).__name__}"


def one_line(text: str, limit: int = 500) -> str:
    """Return ``text`` with white space and control characters folded, at most ``limit`` characters long."""
    # What is printable by itself, as nearly all is, costs nothing; what nobody will read is not looked at.
    text = text[: 20 * limit]
    folded = " ".join((text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)).split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"
