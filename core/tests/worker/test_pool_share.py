"""Each registration sees and reports its own jobs of the pool that they share."""

from __future__ import annotations

from typing import Any

from livekit.agents import utils

from openrtc.worker.direct_job import build_job
from openrtc.worker.pool_share import PoolShare


class Running:
    def __init__(self, info: Any) -> None:
        self.running_job = info


class WholePool(utils.EventEmitter[str]):
    """Stands for the pool: it writes down what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Running] = [Running(None)]
        self.asked: list[str] = []

    async def start(self) -> None:
        self.asked.append("start")

    async def launch_job(self, info: Any) -> None:
        job = Running(info)
        self.processes.append(job)
        self.emit("process_job_launched", job)

    def get_by_job_id(self, job_id: str) -> Running | None:
        return next((job for job in self.processes if job.running_job and job.running_job.job.id == job_id), None)

    async def close_jobs(self, jobs: list[Running]) -> None:
        self.asked.append(f"close {len(jobs)} of {len(self.processes)}")

    async def aclose(self) -> None:
        self.asked.append("close")


class Info:
    def __init__(self) -> None:
        self.job = build_job("r")


def shares() -> tuple[WholePool, PoolShare, PoolShare]:
    pool: Any = WholePool()
    return pool, PoolShare(pool, owns=True), PoolShare(pool, owns=False)


async def test_jobs_are_seen_and_told_by_the_registration_that_launched_them() -> None:
    pool, first, second = shares()
    told: list[tuple[str, str, Any]] = []
    for name, share in (("first", first), ("second", second)):
        for event in ("process_job_launched", "process_closed"):
            share.on(event, lambda job, name=name, event=event: told.append((name, event, job.running_job)))
    mine: Any = Info()
    await second.launch_job(mine)
    assert [job.running_job for job in second.processes] == [mine]
    assert first.processes == []
    assert first.get_by_job_id(mine.job.id) is second.get_by_job_id(mine.job.id)
    ended = pool.processes.pop()
    pool.emit("process_closed", ended)
    pool.emit("process_closed", pool.processes[0])
    assert told == [("second", "process_job_launched", mine), ("second", "process_closed", mine)]
    assert second._own == set()


async def test_the_pool_starts_and_ends_with_the_registration_that_owns_it() -> None:
    pool, first, second = shares()
    await second.start()
    await second.launch_job(Info())  # type: ignore[arg-type]  # it stands for one
    await second.aclose()
    assert pool.asked == ["close 1 of 2"], "its own, before it can tell of them no more"
    await first.start()
    await first.aclose()
    assert pool.asked[1:] == ["start", "close"]
