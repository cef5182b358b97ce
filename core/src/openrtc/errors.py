"""The one error a user sees, and how a text that somebody else has written can be shown."""

from __future__ import annotations

LONGEST_SHOWN = 20_000
"""Characters of a text that are shown; it may be as long as somebody likes."""
MOST_MARKS = 4
"""Accents and the like on one letter; languages use three."""


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
    return shorten(thin_marks(folded), limit)


def escape(text: str, limit: int = LONGEST_SHOWN, *, keep: str = "") -> str:
    """Return ``text`` as it can be shown in one line: what does something to a terminal, or hides, is written out.

    Unlike `one_line`, it tells apart what differs, and keeps spaces where they are.

    Args:
        text: The text.
        limit: Characters of it that are shown.
        keep: Characters that are not printable and stay, such as ends of lines.
    """
    text = text[: limit + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
    return shorten(thin_marks(text), limit)


def shorten(text: str, limit: int) -> str:
    """Return a text, cut where it is longer than ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def thin_marks(text: str) -> str:
    """Return a text without the marks that nobody can read: hundreds above one letter cover the lines beside it."""
    if text.isascii():
        return text
    from unicodedata import category  # 1 MB that few need

    kept: list[str] = []
    marks = 0
    for c in text:
        marks = marks + 1 if category(c) in ("Mn", "Me") else 0
        if marks <= MOST_MARKS:
            kept.append(c)
    return "".join(kept)
