"""A console of rich in which what others have written does nothing to the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from openrtc.errors import thin_marks


class SafeConsole(Console):
    """A console that shows a mark in place of each character that is none to look at; rich lets most of them through.

    Names and words that were cut into lines before have no ends of lines any more; what else is in them is caught here.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render something, as rich does."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control or (text.isascii() and text.isprintable()):
                yield segment
            else:
                yield Segment(_clean(text), style)


def _clean(text: str) -> str:
    # One for one: the width was measured before.
    return thin_marks("".join(c if c.isprintable() or c == "\n" else "\N{MIDDLE DOT}" for c in text))
