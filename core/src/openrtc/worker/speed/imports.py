"""Makes importing livekit-agents cheaper."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Collection

from openrtc.worker.upstream.late_imports import import_late


def hurry_imports(speedups: Collection[str]) -> None:
    """Import what follows, livekit-agents first of all, in less time.

    Args:
        speedups: Some of `openrtc.config.SPEEDUPS`.
    """
    # Next to nothing of what is imported is garbage, and the collector would look through all of it again and again.
    gc.disable()
    if "imports" in speedups:
        import_late()
        threading.Thread(target=_import_aiohttp, name="import-aiohttp").start()


def imports_are_done() -> None:
    """Let the collector run from now on, but keep it off all that is there.

    Without the freeze it waits until garbage is a quarter of everything, and lets each call leave 0.8 MB. What is left
    of importing is not collected before: that takes a tenth of a second, and frees less than can be measured.
    """
    gc.freeze()
    gc.enable()


def _import_aiohttp() -> None:
    # It reads all certificates of the machine, which takes as long as a tenth of livekit-agents, beside other imports.
    with contextlib.suppress(ImportError):  # which whoever needs it tells
        import aiohttp  # noqa: F401
