"""Speedup `tokens`: a long text is cut into words and sentences once, not once more for each word of it.

livekit-agents cuts the whole rest of a text anew for each token that it has found, and for each piece that a language
model streams as long as no sentence has ended: the work grows with the square of the text. 30,000 characters held the
loop for 10 s. Here a long text is given to it in pieces, and what is streamed waits until it is worth looking again.
"""

from __future__ import annotations

from livekit.agents.tokenize.token_stream import BufferedTokenStream

LONG = 1000
"""Characters from which on a text is given in pieces; shorter ones, so nearly all that is said, pass as they are."""
PIECE = 250
"""Characters of a piece: more of them are more calls, longer ones more work in each."""
GROWTH = 8
"""While no sentence ends, a long text is looked at again when it has grown by this fraction."""

_upstream_push_text = BufferedTokenStream.push_text
_upstream_flush = BufferedTokenStream.flush


def install() -> None:
    """From now on, cut long texts once."""
    BufferedTokenStream.push_text = _push_text  # type: ignore[method-assign]  # the patch
    BufferedTokenStream.flush = _flush  # type: ignore[method-assign]  # the patch


def uninstall() -> None:
    """Undo `install`."""
    BufferedTokenStream.push_text = _upstream_push_text  # type: ignore[method-assign]  # the patch undone
    BufferedTokenStream.flush = _upstream_flush  # type: ignore[method-assign]  # the patch undone


def _push_text(self: BufferedTokenStream, text: str) -> None:
    held: list[str] | None = vars(self).get("_openrtc_held")
    # Markup is left alone: where a piece ends within a tag, it would be cut elsewhere.
    if self._xml_aware or (held is None and len(self._in_buf) + len(text) <= LONG):
        _upstream_push_text(self, text)
        return
    self._check_not_closed()
    if held is None:
        held = self._openrtc_held = []  # type: ignore[attr-defined]  # ours
        self._openrtc_held_size = 0  # type: ignore[attr-defined]  # ours
    held.append(text)
    self._openrtc_held_size += len(text)  # type: ignore[attr-defined]  # ours
    if self._openrtc_held_size * GROWTH >= len(self._in_buf):  # type: ignore[attr-defined]  # ours
        _push_held(self)


def _push_held(self: BufferedTokenStream) -> None:
    text, position = "".join(vars(self).pop("_openrtc_held", ())), 0
    while position < len(text):
        size = max(PIECE, len(self._in_buf) // GROWTH)
        _upstream_push_text(self, text[position : position + size])
        position += size


def _flush(self: BufferedTokenStream) -> None:
    _push_held(self)
    _upstream_flush(self)
