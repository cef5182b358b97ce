"""The code of docs/migrating.md runs, before and after, with stand-ins for the paid models."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.reporting import show_log_on_failure
from e2e.server_api import Dispatch, ServerApi
from e2e.worker import WorkerProcess

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text(encoding="utf-8")
PAID = re.compile(r'stt="[a-z0-9/.-]+", llm="[a-z0-9/.-]+", tts="[a-z0-9/.-]+"')
PAID_OF_POOL = re.compile(r'default_(stt|llm|tts)="[a-z0-9/.-]+"')

STAND_INS = """
from livekit.agents import Agent

from openrtc.model.provider import ProviderContext
from openrtc_offline.provider import OfflineProvider

provider = OfflineProvider()


def build_models():
    context = ProviderContext(agent_name="desk", agent=Agent(instructions=""))
    return {"llm": provider.llm("", context), "tts": provider.tts("espeak", context)}
"""

Run = Callable[..., WorkerProcess]


def read_file(name: str) -> str:
    """Return a program of the page, with the stand-ins in place of paid models."""
    (source,) = re.findall(rf"```\w+\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    stood_in = PAID_OF_POOL.sub(r'default_\1=lambda: build_models().get("\1")', PAID.sub("**build_models()", source))
    return f"from stand_ins import build_models\n{stood_in}"


def read_entry_points(part: str) -> dict[str, str]:
    """Return the entry points that a part of the page gives."""
    (block,) = re.findall(r"```toml\n(.*?)```", part, re.DOTALL)
    project: dict[str, dict[str, dict[str, str]]] = tomllib.loads(block)["project"]
    return project["entry-points"]["openrtc.agents"]


@pytest.fixture
def run(api: ServerApi, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a command in the folder of all files of the page."""
    started: list[WorkerProcess] = []
    one, several = re.findall(r"## From .*?worker.*?\n(.*?)(?=\n## )", PAGE, re.DOTALL)
    agents = read_entry_points(one) | read_entry_points(several)
    support = read_file("sales.py").replace("sales", "support").replace("sell rooms", "help guests")
    modules = {"front_desk.py": read_file("front_desk.py"), "sales.py": read_file("sales.py"), "support.py": support}
    package = Package(name="hotel", modules=modules | {"stand_ins.py": STAND_INS}, agents=agents)
    folder = package.install_into(tmp_path / "packages")
    (tmp_path / "main.py").write_text(read_file("main.py"))

    def begin(*command: str, **variables: str) -> WorkerProcess:
        log = tmp_path / f"worker-{len(started)}.log"
        more: dict[str, Any] = {"folders": [folder], "cwd": tmp_path, "variables": variables}
        worker = WorkerProcess(command, api=api, log=log, **more)
        started.append(worker)
        show_log_on_failure(request.node, worker)
        return worker.wait_until_ready()

    yield begin
    for worker in started:
        worker.kill()


def hold_calls(callers: CallersProcess, api: ServerApi, *dispatches: Dispatch, room: str = "") -> None:
    """Let somebody call with each dispatch, and in a room without one, at once until every agent has been heard."""
    tokens = {one.room: api.token(one.room, "ann", agents=[one]) for one in dispatches}
    if room:
        tokens[room] = api.token(room, "ann")
    calls = [callers.join(name, token, speaks=False) for name, token in tokens.items()]
    for caller in calls:
        assert caller.wait_for_answer(0.0, timeout=40.0) is not None
        caller.leave()


def test_what_ran_as_a_worker_runs_as_a_package(
    run: Run, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    # Not "start", which takes no call while this machine has much to do.
    before = run(str(tmp_path / "packages" / "front_desk.py"), "dev")
    hold_calls(callers, api, room="before")
    before.kill()
    options = ("--port", "0", "--allow", "hotel,openrtc-offline")
    after = run("-m", "openrtc", "start", *options)
    names = ("sales", "support")
    hold_calls(callers, api, *(Dispatch(room=f"by-{name}", agent_name=name) for name in names), room="after")
    after.wait_for_log("room 'after': front by default")
    for name in names:
        after.wait_for_log(f"room 'by-{name}': {name}-desk by job.agent_name")
    after.stop()


def test_a_pool_of_openrtc_0_20_runs_as_it_is(run: Run, api: ServerApi, callers: CallersProcess) -> None:
    pool = run("main.py", OPENRTC_PORT="0")
    asks = {"pool": "", "pool-2": '{"agent": "support"}'}
    hold_calls(callers, api, *(Dispatch(room=room, agent_name="hotel", metadata=asked) for room, asked in asks.items()))
    pool.wait_for_log("room 'pool': sales by default")
    pool.wait_for_log("room 'pool-2': support by job.agent")
    pool.wait_for_log("support begins in pool-2")
    pool.wait_for_log("pool-2 ended after [0-9.]+ s: success")
    pool.stop()


def test_every_argument_that_is_refused_or_has_another_name_is_on_the_page() -> None:
    from openrtc.model.pool_arguments import INSTEAD, RENAMED

    assert [name for name in (*RENAMED, *INSTEAD) if f"`{name}`" not in PAGE] == []
