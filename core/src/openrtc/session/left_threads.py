"""Finds the threads that an ended call has left: work in threads of its own, and threads that its code has started."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from openrtc.observe.package_code import find_code_distribution
from openrtc.session.failure import is_framework
from openrtc.threads import ThreadOwner

_PYTHON = Path(threading.__file__).parent


@dataclass(frozen=True, slots=True)
class LeftThread:
    """A thread that a call has left.

    Args:
        place: What runs in it.
        distribution: Whose code that is, where it is known to be another's than the agent's; else empty.
        thread: The thread, where the code has started it itself.
    """

    place: str
    distribution: str
    thread: threading.Thread | None = None

    @property
    def runs(self) -> bool:
        """Whether it goes on."""
        return self.thread is None or self.thread.is_alive()


def list_left_threads(owner: ThreadOwner) -> list[LeftThread]:
    """Return what still runs in threads of a call that has ended."""
    found = [LeftThread(work.place, one.distribution) for one in owner.owners for work in one.own.unfinished]
    stacks = sys._current_frames()
    for one in owner.owners:
        for thread in one.started:
            frame = _find_own_frame(stacks.get(thread.ident or 0))
            module = str(frame.f_globals.get("__name__", "")) if frame else ""
            found.append(
                LeftThread(_describe(thread, frame), find_code_distribution(module) or one.distribution, thread)
            )
    return found


def _find_own_frame(frame: FrameType | None) -> FrameType | None:
    """Return the outermost frame that is neither Python's nor livekit's nor OpenRTC's."""
    own = [one for one in _walk_outwards(frame) if not _is_plumbing(one.f_code.co_filename)]
    return own[-1] if own else None


def _walk_outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_plumbing(filename: str) -> bool:
    path = Path(filename)
    return is_framework(filename) or (_PYTHON in path.parents and "site-packages" not in path.parts)


def _describe(thread: threading.Thread, frame: FrameType | None) -> str:
    if frame is None:
        return f"thread {thread.name!r}"
    return f"{frame.f_code.co_name}() at {frame.f_code.co_filename}:{frame.f_code.co_firstlineno}"
