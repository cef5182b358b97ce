"""Which workers are compared, and how each is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from e2e.packages import Package

HERE = Path(__file__).resolve().parent
OUR_AGENT = Package(name="openrtc-bench", agents={"bench": "our_agent:bench"})


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker.

    Args:
        script: File that runs it; empty for the command `openrtc`.
        about: What it is, in a few words.
        arguments: Command and options of the script.
        variables: Its environment, over the common one.
        peer: Whether it needs the environment of the peer.
    """

    script: str
    about: str
    arguments: tuple[str, ...] = ("start",)
    variables: Mapping[str, str] = field(default_factory=dict)
    peer: bool = False


NO_PRELOAD = {"LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0"}
OPENRTC = ""
WITHOUT_UVLOOP = "vad,native,events,pace,signatures,schemas,connections,playout,imports"
WITHOUT_PLAYOUT = "vad,native,events,pace,signatures,schemas,connections,uvloop,imports"
THREADS = {"BENCH_EXECUTOR": "thread"}
OURS = ("start", "--allow", OUR_AGENT.name, "--agent-name", "bench", "--max-sessions", "200", "--log-level", "info")

WORKERS = {
    "process": Worker("livekit_worker.py", "livekit-agents as shipped: a process for each call"),
    "process-no-preload": Worker("livekit_worker.py", "the same, its model preload off", variables=NO_PRELOAD),
    "thread": Worker("livekit_worker.py", "livekit-agents: a thread for each call", variables=THREADS),
    "peer": Worker("peer_worker.py", "openrtc 0.20.1: coroutine mode, uvloop", peer=True),
    "ours": Worker(OPENRTC, "OpenRTC", OURS),
    "ours-lean": Worker(OPENRTC, "OpenRTC, profile lean", (*OURS, "--profile", "lean")),
    "ours-plain": Worker(OPENRTC, "OpenRTC without speedups", (*OURS, "--speedups", "none")),
    "ours-asyncio": Worker(OPENRTC, "OpenRTC without uvloop", (*OURS, "--speedups", WITHOUT_UVLOOP)),
    "ours-shallow": Worker(OPENRTC, "OpenRTC without playout", (*OURS, "--speedups", WITHOUT_PLAYOUT)),
    "floor": Worker("floor_worker.py", "livekit.rtc and the VAD alone", ()),
}


def command(worker: Worker, peer_python: Path) -> list[str]:
    """Return the command line of a worker."""
    python = peer_python if worker.peer else Path(sys.executable)
    program = [str(HERE / worker.script)] if worker.script else ["-m", "openrtc"]
    return [str(python), *program, *worker.arguments]


def environment(worker: Worker, common: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker: this process's without proxies, and what the worker and the run add."""
    own = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
    return own | {"HF_HUB_OFFLINE": "1"} | dict(common) | dict(worker.variables)
