"""Opens a browser where there is one that has a window of its own."""

from __future__ import annotations

import os
import sys
import webbrowser


def has_browser() -> bool:
    """Whether a page can be opened in a window here; a browser in the terminal would take that over."""
    if sys.platform.startswith("linux") and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def open_browser(address: str) -> bool:
    """Open a page, and return whether that has begun.

    Args:
        address: The page. All users of this machine can read it.
    """
    return has_browser() and webbrowser.open(address)
