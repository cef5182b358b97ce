from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from openrtc.session import debris
from openrtc.session.containment import contain_exits
from openrtc.session.debris import DEBRIS, cancel_debris


@pytest.mark.parametrize(("many", "runs"), [(DEBRIS - 1, True), (DEBRIS, False)])
async def test_only_tasks_by_the_hundred_are_cancelled_before_they_begin(
    monkeypatch: pytest.MonkeyPatch, many: int, runs: bool
) -> None:
    contain_exits(asyncio.get_running_loop())
    theirs: set[asyncio.Task[None]] = set()
    job = SimpleNamespace(job=SimpleNamespace(id="theirs"))
    monkeypatch.setattr(debris, "find_job", lambda task: job if task in theirs else None)
    ran: list[str] = []

    async def work(whose: str) -> None:
        ran.append(whose)

    theirs.update(asyncio.create_task(work("theirs")) for _ in range(many))
    others = [asyncio.create_task(work("others")) for _ in range(many)]
    cancel_debris("theirs")
    await asyncio.gather(*theirs, *others, return_exceptions=True)
    assert ran.count("others") == many
    assert ran.count("theirs") == (many if runs else 0)
