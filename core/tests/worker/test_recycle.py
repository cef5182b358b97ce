from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from openrtc.worker import recycle
from openrtc.worker.recycle import MemoryWatermark


async def test_a_worker_over_its_memory_limit_is_to_be_replaced() -> None:
    memory = MemoryWatermark(100, lambda: 140_000_000)
    watching = asyncio.create_task(memory.watch())
    found = await asyncio.wait_for(recycle.wait_for_recycle_reason(memory), 60.0)
    watching.cancel()
    assert found == recycle.RecycleReason("memory", "memory: 140 MB, over the limit of 100 MB")


async def test_a_panic_in_another_thread_has_a_worker_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Callable[[str], None]] = []
    monkeypatch.setattr(recycle, "intercept_native_panics", told.append)
    waiting = asyncio.create_task(recycle.wait_for_recycle_reason(MemoryWatermark(0)))
    await asyncio.sleep(0.01)
    for message in ("the receiver\nis gone", "again"):
        await asyncio.to_thread(told[0], message)
    found = await asyncio.wait_for(waiting, 60.0)
    assert found.cause == "panic"
    assert "(the receiver is gone)" in found.message


def test_growing_over_the_limit_is_noticed() -> None:
    async def main() -> tuple[float, bool]:
        watermark = MemoryWatermark(100, lambda: 101_000_000)
        watching = asyncio.create_task(watermark.watch())
        await asyncio.wait_for(watermark.exceeded.wait(), 1.0)
        watching.cancel()
        return watermark.share, watermark.exceeded.is_set()

    assert asyncio.run(main()) == (1.01, True)


def test_under_the_limit_only_the_share_is_known() -> None:
    async def main() -> tuple[float, bool]:
        watermark = MemoryWatermark(100, lambda: 40_000_000)
        watching = asyncio.create_task(watermark.watch())
        await asyncio.sleep(0.01)
        watching.cancel()
        return watermark.share, watermark.exceeded.is_set()

    assert asyncio.run(main()) == (0.4, False)


def test_without_a_limit_nothing_is_measured() -> None:
    def measure() -> int:
        raise AssertionError("nobody asked")

    watermark = MemoryWatermark(0, measure)
    asyncio.run(watermark.watch())
    assert watermark.share == 0.0


async def test_the_memory_of_this_process_is_measured_in_megabytes() -> None:
    watermark = MemoryWatermark(5000)
    watching = asyncio.create_task(watermark.watch())
    await asyncio.sleep(0.01)
    watching.cancel()
    assert 5 < watermark.used_mb < 5000
