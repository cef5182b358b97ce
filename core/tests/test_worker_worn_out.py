from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from openrtc.worker import worn_out
from openrtc.worker.memory import MemoryWatermark


async def test_a_worker_over_its_memory_limit_is_worn_out() -> None:
    memory = MemoryWatermark(100, lambda: 140.0)
    watching = asyncio.create_task(memory.watch())
    found = await asyncio.wait_for(worn_out.until_worn_out(memory), 5.0)
    watching.cancel()
    assert found == worn_out.WornOut("memory", "memory: 140 MB, over the limit of 100 MB")


async def test_a_panic_in_another_thread_wears_a_worker_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Callable[[str], None]] = []
    monkeypatch.setattr(worn_out, "on_native_panic", told.append)
    waiting = asyncio.create_task(worn_out.until_worn_out(MemoryWatermark(0)))
    await asyncio.sleep(0.01)
    for message in ("the receiver\nis gone", "again"):
        await asyncio.to_thread(told[0], message)
    found = await asyncio.wait_for(waiting, 5.0)
    assert found.reason == "panic"
    assert "(the receiver is gone)" in found.said
