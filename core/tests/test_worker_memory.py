from __future__ import annotations

import asyncio

from openrtc.worker.memory import MemoryWatermark, resident_mb


def test_growing_over_the_limit_is_noticed() -> None:
    async def main() -> tuple[float, bool]:
        watermark = MemoryWatermark(100, lambda: 101.0)
        watching = asyncio.create_task(watermark.watch())
        await asyncio.wait_for(watermark.exceeded.wait(), 1.0)
        watching.cancel()
        return watermark.share, watermark.exceeded.is_set()

    assert asyncio.run(main()) == (1.01, True)


def test_under_the_limit_only_the_share_is_known() -> None:
    async def main() -> tuple[float, bool]:
        watermark = MemoryWatermark(100, lambda: 40.0)
        watching = asyncio.create_task(watermark.watch())
        await asyncio.sleep(0.01)
        watching.cancel()
        return watermark.share, watermark.exceeded.is_set()

    assert asyncio.run(main()) == (0.4, False)


def test_without_a_limit_nothing_is_measured() -> None:
    def measure() -> float:
        raise AssertionError("nobody asked")

    watermark = MemoryWatermark(0, measure)
    asyncio.run(watermark.watch())
    assert watermark.share == 0.0


def test_the_memory_of_this_process_is_told_in_megabytes() -> None:
    assert 5 < resident_mb() < 5000
