"""`Questions`: which member waits for whose answer, so that none waits for itself."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from openrtc.errors import OpenRTCError


class Questions:
    """The questions between members that have no answer yet."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str, asyncio.Future[str]]] = []
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def lock(self, asker: str) -> asyncio.Lock:
        """Return what lets one member ask one question at a time."""
        return self._locks[asker]

    def check_can_answer(self, asker: str, asked: str) -> None:
        """Raise where ``asked`` could never answer, since it waits for ``asker``, perhaps through others.

        Raises:
            OpenRTCError: It is the asker itself, or waits for it.
        """
        if asker == asked:
            raise OpenRTCError(f"{asker!r} asks itself", origin="ask()", fix="ask another member")
        if asker in self._find_awaited(asked):
            fix = "answer first, or use send(), which waits for nothing"
            raise OpenRTCError(f"{asked!r} itself waits for an answer of {asker!r}", origin="ask()", fix=fix)

    def add(self, asker: str, asked: str) -> asyncio.Future[str]:
        """Note a question until it is answered; return what gets its answer."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        entry = (asker, asked, answer)
        self._open.append(entry)
        answer.add_done_callback(lambda _: self._open.remove(entry))
        return answer

    def fail(self, asked: str, reason: str) -> None:
        """End every question to a member that cannot answer any more."""
        for _, to, answer in list(self._open):
            if to == asked and not answer.done():
                answer.set_exception(OpenRTCError(reason, origin="ask()"))

    def _find_awaited(self, role: str) -> set[str]:
        """Return the members for which ``role`` waits, and for which these wait in turn."""
        found: set[str] = set()
        pending = [role]
        while pending:
            now = pending.pop()
            new = {to for asker, to, _ in self._open if asker == now} - found
            found |= new
            pending += new
        return found
