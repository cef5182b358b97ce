"""A script with an `AgentPool`, `openrtc connect`, `openrtc console`, and packages that come, go and break."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

from e2e.callers import CallersProcess
from e2e.cli import run_openrtc
from e2e.packages import Environment, Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS, TONES
from e2e.worker import WorkerProcess, openrtc_worker
from e2e.worker_template import BY_LK, worker_template

StartWorker = Callable[..., WorkerProcess]

POOL_SCRIPT = """
    from openrtc import AgentPool
    from tone_agents import Alpha, Gamma

    def by_number(request):
        return "gamma" if request.room_name.endswith("-3") else None

    pool = AgentPool(router=by_number, max_sessions=5)
    pool.add("alpha", Alpha).add("gamma", lambda call: Gamma())

    if __name__ == "__main__":
        pool.run(["start", "--port", "0", "--log-format", "json"])
"""

BROKEN = [
    Package(
        name="broken-import", modules={"broken_import.py": "import nothing_like_this"}, agents={"b1": "broken_import:X"}
    ),
    Package(
        name="broken-exit",
        modules={"broken_exit.py": "import sys\nprint('loud')\nsys.exit(9)"},
        agents={"b2": "broken_exit:X"},
    ),
    Package(name="broken-attribute", modules={"broken_attribute.py": "x = 1"}, agents={"b3": "broken_attribute:Agnt"}),
    Package(
        name="broken-hook",
        modules={"broken_hook.py": "def openrtc_rout(request): ..."},
        plugins={"b4": "broken_hook"},
    ),
    Package(name="broken-bytes", entry_points=b"[openrtc.agents]\nb5 = \xff\xfe:X\n"),
    Package(name="broken-metadata", modules={"bm.py": ""}, agents={"b6": "bm:X"}, metadata=b""),
]


def heard_in(callers: CallersProcess, api: ServerApi, *rooms: str) -> list[set[str]]:
    """Return whose tones are heard in each of some rooms, which people join at once."""
    joined = [callers.join(room, api.token(room, "ann"), speaks=False) for room in rooms]
    heard = [caller.wait_for_tones(TONES) for caller in joined]
    api.delete_all_rooms()
    return heard


def test_a_script_with_a_pool_holds_calls_without_entry_points(
    api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(dedent(POOL_SCRIPT))
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    more: dict[str, Any] = {"folders": folders, "template": worker_template(BY_LK)}
    with WorkerProcess([str(script)], api=api, log=tmp_path / "pool.log", **more) as worker:
        worker.wait_until_ready()
        (line,) = worker.records("^agents: ")
        assert line["message"] == "agents: alpha, gamma; default: alpha", "no installed agent is used"
        assert heard_in(callers, api, "pool-1", "alpha-3") == [{"alpha"}, {"gamma"}]
        worker.stop()


def test_connect_joins_one_room_and_ends_with_the_call(api: ServerApi, callers: CallersProcess, tmp_path: Path) -> None:
    api.create_room("quiet-room", metadata='{"agent": "beta"}')
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    caller = callers.join("ann", api.token("quiet-room", "ann"), speaks=False)
    command = ["-m", "openrtc", "connect", "--room", "quiet-room", "--allow", "tone-agents"]
    with WorkerProcess(command, api=api, log=tmp_path / "connect.log", folders=folders) as worker:
        assert caller.wait_for_tones(TONES) == {"beta"}
        (recording,) = caller.recordings()
        assert recording.identity.startswith("beta-")
        caller.leave()
        assert worker.wait(30.0) == 0


def test_the_console_chats_with_an_agent_and_ends_with_its_input() -> None:
    done = run_openrtc("console", "support", typed="hello\nwhat are your opening hours\n")
    assert done.returncode == 0, done.stderr
    assert "opening_hours" in done.stdout
    assert "nine" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_good_agents_serve_beside_packages_that_break_in_every_way(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    folder = TONE_AGENTS.install_into(tmp_path / "packages")
    for package in BROKEN:
        package.install_into(folder)
    worker = start_worker(folders=[folder])
    assert heard_in(callers, api, "gamma-1") == [{"gamma"}]
    for name in ("broken-import", "broken-exit", "broken-attribute", "broken-hook"):
        (line,) = worker.records(f" of {name} is broken: ")
        assert line["level"] == "error"
    api.create_room("b2-1")
    worker.wait_for_log("room 'b2-1': rejected")
    listed = run_openrtc("list-agents", "--json", folders=[folder])
    agents = {agent["name"]: agent for agent in json.loads(listed.stdout)["agents"]}
    assert agents["gamma"]["state"] == "installed"
    assert agents["broken-bytes" if "broken-bytes" in agents else "b5"]["state"] == "broken"
    loaded = run_openrtc("list-agents", "--json", "--load", "--strict", folders=[folder])
    assert loaded.returncode == 1
    states = {agent["name"]: agent["state"] for agent in json.loads(loaded.stdout)["agents"]}
    assert states["gamma"] == "ready" and {states[name] for name in ("b1", "b2", "b3")} == {"broken"}


def test_installing_a_wheel_adds_its_agent_and_uninstalling_takes_it_away(
    api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    wheel = TONE_AGENTS.build_wheel(tmp_path / "wheel")
    assert wheel.name == "tone_agents-1.0.0-py3-none-any.whl"
    place = Environment(tmp_path / "environment")

    def list_agents() -> set[str]:
        done = place.run("-m", "openrtc", "list-agents", "--json")
        return {agent["name"] for agent in json.loads(done.stdout)["agents"]}

    before = list_agents()
    assert "beta" not in before
    place.install(wheel)
    assert list_agents() == before | set(TONE_AGENTS.agents)
    start = functools.partial(openrtc_worker, api, folders=[place.site_packages])
    with start(tmp_path / "first.log", "--agent-name", "wheels") as worker:
        worker.wait_until_ready()
        api.dispatch("beta-wheel", "wheels")
        assert heard_in(callers, api, "beta-wheel") == [{"beta"}]
        worker.stop()
    place.uninstall(TONE_AGENTS.name)
    assert list_agents() == before
    with start(tmp_path / "second.log", "--agent-name", "wheels") as worker:
        worker.wait_until_ready()
        (line,) = worker.records("^agents: ")
        assert "beta" not in line["message"]
        api.dispatch("gone-wheel", "wheels", '{"agent": "beta"}')
        worker.wait_for_log("room 'gone-wheel': rejected")
        time.sleep(0.5)
        assert api.agents_in(["gone-wheel"]) == {"gone-wheel": []}
        worker.stop()
