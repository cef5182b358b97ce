"""`PackageFiles`: what of a call is code of the package itself, by its files."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from openrtc.discovery.entries import Entry
from openrtc.plugins.own_modules import find_own_modules
from openrtc.plugins.own_sources import OwnSources, walk_used
from openrtc.session.containment import find_coroutine, find_job, list_frames
from openrtc.session.failure import is_framework

_NEEDS = {
    "a room": re.compile(r"\w*(room|participant)\w*", re.IGNORECASE),
    "the job of livekit-agents": re.compile("get_job_context|JobContext"),
    "a realtime model": re.compile(r"\w*(realtime|duplex)\w*", re.IGNORECASE),
    "its own models": re.compile("stt|tts|llm|vad"),
}
"""What a call in text with a scripted model lacks, by the names that code has for it."""


class PackageFiles:
    """The code of an entry point's distribution.

    Args:
        entry: The entry point.
        roots: What calls run.
    """

    def __init__(self, entry: Entry, roots: Sequence[Callable[..., Any]]) -> None:
        self._entry = entry
        self._roots = roots
        self._modules = find_own_modules(entry)

    def holds(self, place: str) -> bool:
        """Whether ``file:line`` is in a file of its own."""
        return self._modules is not None and self._modules.holds(place.rpartition(":")[0])

    def list_tasks(self, job_id: str) -> list[asyncio.Task[Any]]:
        """Return the tasks of a job that are not done, but for those that run livekit's and OpenRTC's code alone."""
        of_job = [one for one in asyncio.all_tasks() if (job := find_job(one)) is not None and job.job.id == job_id]
        codes = ((task, getattr(find_coroutine(task), "cr_code", None)) for task in of_job)
        return [
            task
            for task, code in codes
            if (code is not None and not is_framework(code.co_filename)) or self.find_place(task)
        ]

    def find_place(self, task: asyncio.Task[Any]) -> str:
        """Return where a task stands that waits: the innermost line of its own code; empty where it has none."""
        places = [f"{frame.f_code.co_filename}:{frame.f_lineno}" for frame in list_frames(task)]
        return next((place for place in reversed(places) if self.holds(place)), "")

    def find_need(self) -> str:
        """Return what its code names that there is none of in a call in text; empty where it names nothing such."""
        used = walk_used(OwnSources(self._entry), self._roots)
        names = {name for _, node in used for one in ast.walk(node) for name in _list_names(one)}
        return next((what for what, pattern in _NEEDS.items() if any(map(pattern.fullmatch, names))), "")


def _list_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Name) and node.id not in ("stt", "tts", "llm", "vad"):  # modules of livekit-agents
        yield node.id
