"""Packages that do at import what they may in a process of their own: the worker is whole, and each agent answers."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from textwrap import dedent

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS, TONES
from e2e.worker import TRACEBACK, openrtc_worker

ANSWERS = "from tone_agents import Alpha\nclass Tones(Alpha): pass\n"
HARMFUL = {
    "wraps": """
        import io, os, sys
        sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
        sys.stderr = io.TextIOWrapper(sys.stderr.detach())
        sys.stdin.close()
        os.close(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    """,
    "sets": """
        import asyncio, logging, os, signal, socket, warnings
        os.chdir("/")
        os.environ.update(LIVEKIT_URL="ws://127.0.0.1:1", PATH="/nowhere", PYTHONPATH="/nowhere")
        socket.setdefaulttimeout(0.001)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        signal.alarm(2)
        class Policy(asyncio.DefaultEventLoopPolicy):
            def new_event_loop(self): raise RuntimeError("no loop for you")
        asyncio.set_event_loop_policy(Policy())
        warnings.simplefilter("error")
        logging.disable(logging.CRITICAL)
    """,
    "forks": """
        import atexit, os, threading
        os.fork()
        threading.Thread(target=threading.Event().wait, daemon=False).start()
    """,
    "warns": "import warnings\nwarnings.warn('an old name', DeprecationWarning)\n",
}
PROGRAMS = {
    "runs": "from livekit.agents import AgentServer, cli\ncli.run_app(AgentServer())\n",
    "pools": "from openrtc import AgentPool\nAgentPool().discover().run()\n",
    "exits": "import os\nos._exit(0)\n",
}


def _build(name: str, source: str) -> Package:
    modules = {f"e2e_{name}.py": f"{dedent(source)}\n{ANSWERS}"}
    return Package(name=f"e2e-{name}", modules=modules, agents={name: f"e2e_{name}:Tones"})


def test_the_worker_serves_whatever_packages_do_at_import(
    api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    packages = [TONE_AGENTS, *(_build(name, source) for name, source in (HARMFUL | PROGRAMS).items())]
    folders = [package.install_into(tmp_path / package.name) for package in packages]
    with openrtc_worker(api, tmp_path / "worker.log", folders=folders, cwd=tmp_path) as worker:
        worker.wait_until_ready()
        joined = {name: callers.join(name, api.token(f"{name}-1", "caller"), speaks=False) for name in HARMFUL}
        for name, caller in joined.items():
            assert caller.wait_for_agent()["identity"].startswith(f"{name}-")
            assert caller.wait_for_tones(TONES) == {"alpha"}
        api.delete_all_rooms()
        port = re.search(r"HTTP server listening on [^:]+:(\d+)", worker.log())
        assert port
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/ready", timeout=10) as answer:
            assert json.load(answer)
        lines = [record["message"] for record in worker.records()]
        told = {name: " ".join(line for line in lines if f"e2e-{name} 1.0.0 " in line) for name in HARMFUL}
        for word in ("sys.stdout", "sys.stderr", "standard output", "standard error"):
            assert word in told["wraps"]
        for word in ("current folder", "LIVEKIT_URL, PATH, PYTHONPATH", "SIGTERM", "alarms", "timeout of sockets"):
            assert word in told["sets"]
        assert "forked" in told["forks"] and "a thread" in told["forks"]
        assert not told["warns"]
        for name in PROGRAMS:
            assert any(line.startswith(f"{name} of e2e-{name} is broken") for line in lines)
        worker.stop()
        assert TRACEBACK not in worker.log()
        assert len(worker.records("worker stopped")) == 1
