"""Where the calls are held: in a worker of each agent's own, as ``python file.py start``, and in OpenRTC's for all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from livekit import api

from e2e.callers import CallersProcess
from e2e.child import environment
from e2e.livekit_ways.outcome import read_outcome, spoken
from e2e.livekit_ways.ways import VOICE_FOLDER, Outcome, Way, recording_of
from e2e.pcm import write_wav
from e2e.realtime_server import RealtimeServer
from e2e.server_api import Dispatch, ServerApi
from e2e.worker import WorkerProcess, openrtc_worker
from e2e.worker_template import Template

HOLD_TIMEOUT = 120.0
LOG_TIMEOUT = 25.0
CLOSE_SECONDS = 3.0
"""A session waits 2 s for the last words of who has left."""
AT_ONCE = 2
"""How many calls are held at once in each kind of worker."""
REALTIME_VOICES = {"alloy": 500.0}
OWN_VARIABLES = {"NUM_CPUS": "1", "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0"}
"""One idle process instead of one a core, and no weights that nobody here uses."""
OWN_IMPORTS = "import livekit.agents.cli, e2e.livekit_ways.paid"
"""What the workers of livekit-agents' own are forked from has imported."""


class Hosts:
    """Both kinds of workers, and who calls them; the calls of all ways begin as soon as there is room.

    Each kind has a server of its own, since both register the same names.

    Args:
        of_own: The server of the workers of livekit-agents' own.
        of_ours: The server of OpenRTC's worker.
        folder: Where logs and recordings go.
        ways: The ways.
    """

    def __init__(self, of_own: ServerApi, of_ours: ServerApi, folder: Path, ways: Sequence[Way]) -> None:
        self._of_own, self._of_ours = of_own, of_ours
        self._folder = folder
        for sentence in (sentence for way in ways for sentence in way.sentences):
            write_wav(recording_of(sentence, folder / "voice"), spoken(sentence))
        self._closed = contextlib.ExitStack()
        self._template = Template(OWN_IMPORTS, environment(**OWN_VARIABLES))
        self._closed.callback(self._template.close)
        model = self._closed.enter_context(RealtimeServer(REALTIME_VOICES, []))
        self._variables = {
            VOICE_FOLDER: str(folder / "voice"),
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "of no account",
        }
        packages = [way.package.install_into(folder / "packages" / way.name) for way in ways]
        allowed = [word for way in ways for word in ("--allow", way.package.name)]
        more = {"folders": packages, "variables": self._variables}
        self.ours = openrtc_worker(of_ours, folder / "openrtc.log", *allowed, **more)
        self._closed.enter_context(self.ours)
        people = CallersProcess(of_ours.url, folder / "people", "e2e.livekit_ways.people")
        self._people = self._closed.enter_context(people)
        own, together = ThreadPoolExecutor(AT_ONCE), ThreadPoolExecutor(AT_ONCE)
        self._closed.callback(own.shutdown, cancel_futures=True)
        self._closed.callback(together.shutdown, cancel_futures=True)
        self._own = {way.name: own.submit(self.hold_alone, way) for way in ways}
        self._together = {way.name: together.submit(self.hold_together, way) for way in ways}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.close()

    def outcomes(self, way: Way, *, again: bool = False) -> tuple[Outcome, Outcome]:
        """Return what came of the call in a worker of its own, and in OpenRTC's; perhaps of another one."""
        if again:
            return self.hold_alone(way), self.hold_together(way)
        return self._own[way.name].result(), self._together[way.name].result()

    def hold_alone(self, way: Way) -> Outcome:
        """Hold a call in a worker of its own."""
        log = self._folder / f"{way.name}.log"
        # As `lk simulate` starts it: no limit by the load of this machine, and no fixed port.
        command = [str(way.file), "start", "--simulation"]
        variables = self._variables | OWN_VARIABLES
        more: dict[str, Any] = {"variables": variables, "template": self._template}
        with WorkerProcess(command, api=self._of_own, log=log, isolates=True, **more) as worker:
            worker.wait_until_ready()
            outcome = self._hold(way, worker, self._of_own)
            worker.stop()
        return outcome

    def hold_together(self, way: Way) -> Outcome:
        """Hold it in OpenRTC's worker."""
        self.ours.wait_until_ready()
        return self._hold(way, self.ours, self._of_ours)

    def _hold(self, way: Way, worker: WorkerProcess, server: ServerApi) -> Outcome:
        room = f"room-{time.monotonic_ns()}"  # no agent's name, which would choose that one
        dispatch = Dispatch(room=room, agent_name=way.name)
        tokens = {
            name: server.token(room, name, agents=[dispatch], hangs_up=False, phone=way.phones.get(name, ""))
            for name in way.people
        }
        folder = self._folder / "heard" / room
        command = {"way": way.name, "url": server.url, "tokens": tokens, "folder": str(folder)}
        held = self._people.command("hold", **command).result(HOLD_TIMEOUT)
        # A job of livekit-agents' own kind ends with its room; at once, why the session closes would be by chance.
        time.sleep(CLOSE_SECONDS)
        with contextlib.suppress(api.TwirpError):  # the agent has deleted it
            server.delete_room(room)
        return read_outcome(way, held, wait_for_lines(way, worker))


def wait_for_lines(way: Way, worker: WorkerProcess) -> list[str]:
    """Return what an agent's own code has logged, as soon as that are as many lines as there have to be."""
    until = time.monotonic() + LOG_TIMEOUT
    while len(lines := lines_of(way, worker)) < len(way.logged) and time.monotonic() < until:
        time.sleep(0.2)
    return lines


def lines_of(way: Way, worker: WorkerProcess) -> list[str]:
    """Return what an agent's own code has logged so far."""
    return [str(one["message"]) for one in worker.records() if way.name in (one.get("name"), one.get("logger"))]
