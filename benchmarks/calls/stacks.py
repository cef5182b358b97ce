"""Where a worker's main thread spends its time: its stack is looked at 200 times a second (``BENCH_STACKS=FILE``)."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_SECONDS = 0.005
SHOWN = 40


def watch_stacks() -> None:
    """Begin to look, where the variable names a file; what was found is written there at the end."""
    path = os.environ.get("BENCH_STACKS")
    if not path:
        return
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    main = threading.main_thread().ident or 0
    threading.Thread(target=_look, args=(main, own, whole), daemon=True, name="stacks").start()
    atexit.register(lambda: Path(path).write_text(_describe("in itself", own) + _describe("with what it calls", whole)))


def _look(thread: int, own: Counter[str], whole: Counter[str]) -> None:
    while True:
        time.sleep(EVERY_SECONDS)
        frame = sys._current_frames().get(thread)
        if frame is None:
            continue
        names = _names(frame)
        own[names[0]] += 1
        whole.update(set(names))


def _names(frame: FrameType | None) -> list[str]:
    names = []
    while frame is not None:
        code = frame.f_code
        names.append(f"{'/'.join(Path(code.co_filename).parts[-3:])}:{code.co_qualname}")
        frame = frame.f_back
    return names


def _describe(what: str, counted: Counter[str]) -> str:
    total = max(counted.values(), default=1) if what != "in itself" else counted.total()
    lines = [f"{100 * count / total:5.1f} %  {name}" for name, count in counted.most_common(SHOWN)]
    return f"{what}:\n" + "\n".join(lines) + "\n\n"
