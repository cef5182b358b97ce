"""``python -m openrtc``."""

from __future__ import annotations

import os
import sys


def prefer_standard_library() -> None:
    """Let no module of the working folder take the place of one of Python's; what else is there can be imported.

    Python puts that folder before everything, for this command and for all processes that it starts in the same way.
    """
    if sys.flags.safe_path or not sys.path:
        return
    home = os.path.dirname(os.__file__)
    own = [place for place, folder in enumerate(sys.path) if folder in (home, os.path.join(home, "lib-dynload"))]
    if own:
        sys.path.insert(own[-1], sys.path.pop(0))


if __name__ == "__main__":
    prefer_standard_library()
    from openrtc.cli.main import program

    program()
