from __future__ import annotations

import asyncio
import time

from openrtc.worker.load import CALM_SAMPLES, LAG_BUDGET, SAMPLES, SERVER_LIMIT, LoadGauge


def test_load_stays_under_the_servers_limit_until_the_last_slot_is_taken() -> None:
    taken = 0
    gauge = LoadGauge(50, lambda: taken)
    seen = []
    for taken in range(51):  # noqa: B007 - the gauge reads it
        seen.append(gauge())
    assert seen[0] == 0
    assert all(load < SERVER_LIMIT for load in seen[:50])
    assert seen[50] >= SERVER_LIMIT


def test_a_short_lag_does_not_make_the_worker_full_but_a_lasting_one_does() -> None:
    gauge = LoadGauge(10, lambda: 0)
    gauge._lags.extend([5.0] * (SAMPLES - 1) + [0.0])
    assert gauge() == 0
    gauge._lags.extend([LAG_BUDGET] * SAMPLES)
    assert gauge() >= SERVER_LIMIT


def noted(gauge: LoadGauge, *lags: float) -> list[bool]:
    """Return after each sample whether the worker looks full."""
    full = []
    for lag in lags:
        gauge.note_lag(lag)
        full.append(gauge() >= SERVER_LIMIT)
    return full


def test_a_burst_of_starting_calls_does_not_make_the_worker_look_full() -> None:
    burst = [0.0, 2.0, 1.5, 0.9, 0.6, 0.4, 0.3, 0.2, 0.05, 0.0]
    assert not any(noted(LoadGauge(10, lambda: 8), *burst * 3))


def test_a_worker_that_was_overloaded_is_full_until_it_has_been_calm_for_a_while() -> None:
    gauge = LoadGauge(10, lambda: 0)
    assert noted(gauge, *[0.4] * SAMPLES) == [False] * (SAMPLES - 1) + [True]
    pauses = [0.05, 0.3, 0.05, 0.05, 0.05, 0.2]
    assert all(noted(gauge, *pauses * 5)), "it takes no call in a short pause"
    calm = noted(gauge, *[0.05] * CALM_SAMPLES)
    assert calm == [True] * (CALM_SAMPLES - 1) + [False]
    assert not any(noted(gauge, 0.4, 0.05, 0.4)), "and then a short lag does not count again"


def test_the_lag_of_a_blocked_loop_is_measured() -> None:
    async def main() -> float:
        gauge = LoadGauge(10, lambda: 0)
        watching = asyncio.create_task(gauge.watch())
        await asyncio.sleep(0)
        time.sleep(0.9)  # noqa: ASYNC251 - blocking the loop is what is measured
        await asyncio.sleep(0.05)
        watching.cancel()
        return max(gauge._lags)

    assert 0.2 < asyncio.run(main()) < 2.0


def test_memory_near_its_limit_is_load_too() -> None:
    share = 0.5
    gauge = LoadGauge(10, lambda: 0, lambda: share)
    assert gauge() < SERVER_LIMIT
    share = 1.0
    assert gauge() >= SERVER_LIMIT
