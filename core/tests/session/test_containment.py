from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest
from livekit.agents.llm import ToolError

from openrtc.errors import OpenRTCError
from openrtc.session import containment
from openrtc.session.containment import AgentExit, contain_tool_exits, run_contained
from openrtc.speedups.uvloop import new_event_loop

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[("vad",), ("uvloop",)], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine contained, in each of the loops that a worker may have."""
    loop = new_event_loop(request.param)
    assert type(loop).__module__.startswith("uvloop") == ("uvloop" in request.param)
    return lambda main: run_contained(main, loop)


async def exit_soon(code: int = 3) -> None:
    await asyncio.sleep(0.01)
    sys.exit(code)


def test_exit_in_a_task_is_an_error_of_that_task_and_the_loop_goes_on(run: Run) -> None:
    async def main() -> str:
        with pytest.raises(AgentExit, match=r"SystemExit\(3\)"):
            await asyncio.create_task(exit_soon())
        return "still here"

    assert run(main()) == "still here"


async def test_the_model_is_told_why_a_tool_could_not_do_something() -> None:
    async def tool() -> str:
        raise OpenRTCError("'driver' has left", origin="ask()")

    with pytest.raises(ToolError, match=r"ask\(\): 'driver' has left"):
        await contain_tool_exits(tool)()


def test_exit_in_a_task_nobody_awaits_leaves_other_tasks_alone(run: Run) -> None:
    async def main() -> int:
        lost = asyncio.create_task(exit_soon())
        ticks = 0
        for _ in range(5):
            await asyncio.sleep(0.01)
            ticks += 1
        assert isinstance(lost.exception(), AgentExit)
        return ticks

    assert run(main()) == 5


def test_exit_in_a_callback_is_logged_and_the_loop_goes_on(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> str:
        asyncio.get_running_loop().call_soon(sys.exit, 4)
        await asyncio.sleep(0.02)
        return "still here"

    with caplog.at_level(logging.ERROR):
        assert run(main()) == "still here"
    assert "SystemExit(4)" in caplog.text


def test_exit_while_being_cancelled_is_contained(run: Run) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            sys.exit(5)

    async def main() -> BaseException | None:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        return task.exception()

    assert isinstance(run(main()), AgentExit)


def test_a_task_cancelled_before_its_first_step_gives_no_warning(run: Run) -> None:
    async def main() -> None:
        task = asyncio.create_task(exit_soon())
        task.cancel()
        await asyncio.wait({task})

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main())


def test_exit_of_the_main_coroutine_itself_is_raised(run: Run) -> None:
    with pytest.raises(AgentExit):
        run(exit_soon())


def test_timeouts_and_groups_work_as_without_containment(run: Run) -> None:
    async def main() -> list[int]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(5), 0.01)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0, value)) for value in (1, 2)]
        return [task.result() for task in tasks]

    assert run(main()) == [1, 2]


def test_a_loop_that_is_stopped_goes_on(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        return "still here"

    assert run(main()) == "still here"
    assert "somebody's code stopped the loop" in caplog.text


def test_what_main_itself_raises_is_raised(run: Run) -> None:
    async def main() -> None:
        raise RuntimeError("no licence")

    with pytest.raises(RuntimeError, match="no licence"):
        run(main())


def test_a_call_that_cancels_all_tasks_cancels_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    job: ContextVar[Any] = ContextVar("job", default=None)
    monkeypatch.setattr(containment, "get_job_context", lambda required: job.get())

    async def cancel_all(of: object, also: asyncio.Future[None]) -> None:
        job.set(of)
        child = asyncio.create_task(asyncio.sleep(60))  # of the same call
        also.set_result(None)
        await asyncio.sleep(0)
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await child

    async def main() -> str:
        begun = asyncio.get_running_loop().create_future()
        other = asyncio.create_task(asyncio.sleep(0.05, "the other call goes on"))
        await asyncio.create_task(cancel_all(object(), begun))
        return await other

    assert run(main()) == "the other call goes on"
    assert asyncio.all_tasks is asyncio.tasks.all_tasks


def test_a_task_that_ignores_its_end_does_not_keep_the_process(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(containment, "TASKS_END_SECONDS", 0.05)

    async def goes_on() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    async def main() -> str:
        task = asyncio.create_task(goes_on())
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # as in a process that ends at once
        await asyncio.sleep(0)
        return "done"

    assert run(main()) == "done"
    assert "a task that goes on though it was cancelled: goes_on() at" in caplog.text
