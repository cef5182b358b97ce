"""`TestedWorker`: a worker with a LiveKit server of this machine, and callers that speak, for tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from openrtc.dispatch.agent_request import AgentRequest
from openrtc.dispatch.connection import LiveKitConnection
from openrtc.errors import OpenRTCError, one_line
from openrtc.server.local import LocalServer
from openrtc.settings.config import Config, WorkerSettings
from openrtc.testing.reports import fail_in_one_line

if TYPE_CHECKING:
    from openrtc.conversation.call.placed_call import PlacedCall, SpokenTurn

REGISTER_LIMIT = 120.0
"""Seconds: it imports all agents, and loads their resources."""

JOIN_LIMIT = 30.0
"""Seconds from a call to the agent's audio."""

SAY_LIMIT = 60.0
"""Seconds from what a caller says to the beginning of the answer: a small machine recognises speech slowly at first."""

_STOP_SECONDS = 10.0  # after each signal
_POLL = 0.05  # seconds between two looks into the log
_REGISTERED = "registered worker"
_NAME = "openrtc-testing"


class Workers:
    """The workers of all tests, and their LiveKit server, which is started for the first one.

    Args:
        folder: Where their logs are, and where they run: no openrtc.toml and no .env counts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: LocalServer | None = None
        self._running: dict[Any, TestedWorker] = {}
        self._voice: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._running.values():
            worker.stop()
        if self._server:
            self._server.stop()

    def get(self, options: Sequence[str], variables: Mapping[str, str], folder: Path | None) -> TestedWorker:
        """Return the worker with these options, which is started when there is none yet.

        Raises:
            OpenRTCError: It, or the server, cannot be started.
        """
        key = (tuple(options), tuple(sorted(variables.items())), folder)
        if key not in self._running or not self._running[key].running:
            self._server = self._server or LocalServer(port=0).start()
            log = self._folder / f"worker-{secrets.token_hex(3)}.log"
            self._running[key] = TestedWorker(self._server, log, options, variables, folder, self._voice)
        return self._running[key]

    def stop(self, worker: TestedWorker) -> None:
        """Stop one worker."""
        worker.stop()
        self._running = {key: one for key, one in self._running.items() if one is not worker}


class TestedWorker:
    """A worker in a process of its own, which is registered."""

    __test__ = False  # no class of tests, though its name begins so

    def __init__(
        self,
        server: LocalServer,
        log: Path,
        options: Sequence[str],
        variables: Mapping[str, str],
        folder: Path | None,
        said: dict[str, Any],
    ) -> None:
        self.url = server.url
        self._settings = WorkerSettings(
            url=server.url, api_key=server.api_key, api_secret=server.api_secret, agent_name=_NAME
        )
        self._log_path = log
        self._said = said
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OPENRTC_", "LIVEKIT_"))},
            "LIVEKIT_URL": server.url,
            "LIVEKIT_API_KEY": server.api_key,
            "LIVEKIT_API_SECRET": server.api_secret,
            **variables,
        }
        if folder:
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), environment.get("PYTHONPATH", ""))))
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "openrtc", "start", "--offline", "--port", "0", "--agent-name", _NAME, *options],
                cwd=log.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            self._wait_until_registered()
        except BaseException:  # Ctrl-C too must leave no worker behind
            self.stop()
            raise

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End it, and wait for that."""
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # the second one ends live calls
            if self.running:
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_SECONDS)

    @contextlib.asynccontextmanager
    async def call(
        self,
        agent: str = "",
        *,
        room: str = "",
        job_metadata: str | Mapping[str, Any] = "",
        attributes: Mapping[str, str] | None = None,
    ) -> AsyncIterator[SpokenCall]:
        """Call an agent with speech, until the end of the body.

        Args:
            agent: Its name; empty leaves it to the routing.
            room: Name of the room; by default a new one.
            job_metadata: Metadata of the dispatch: text, or what is written as JSON.
            attributes: Attributes of the dispatch.
        """
        import json

        from openrtc.conversation.call.placed_call import PlacedCall

        metadata = job_metadata if isinstance(job_metadata, str) else json.dumps(job_metadata)
        request = AgentRequest(agent=agent, metadata=metadata, attributes=attributes or {})
        room = room or f"call-{secrets.token_hex(4)}"
        placed = PlacedCall(LiveKitConnection.of(self._settings), room, request)
        with fail_in_one_line():
            try:
                await placed.connect(JOIN_LIMIT)
                yield SpokenCall(placed, await placed.wait_for_greeting(), self._said)
            finally:
                await placed.hang_up()

    def _wait_until_registered(self) -> None:
        deadline = time.monotonic() + REGISTER_LIMIT
        while _REGISTERED not in self.log:
            if not self.running:
                raise OpenRTCError(f"the worker has ended with exit code {self._process.returncode}: {self._end()}")
            if time.monotonic() > deadline:
                raise OpenRTCError(f"the worker is not registered within {REGISTER_LIMIT:g} s: {self._end()}")
            time.sleep(_POLL)

    def _end(self) -> str:
        lines = [line for line in self.log.splitlines() if line.strip()]
        return one_line(" / ".join(lines[-2:]), 400) or "it has written nothing"


class SpokenCall:
    """A caller who speaks with an agent through a room."""

    def __init__(self, placed: PlacedCall, greeting: str, said: dict[str, Any]) -> None:
        self.greeting = greeting
        """What the agent said by itself at the start, as it was written."""
        self._placed = placed
        self._said = said

    @property
    def agent(self) -> str:
        """Which agent answers."""
        return self._placed.agent

    @property
    def room(self) -> str:
        """Name of the room."""
        return self._placed.room

    async def say(self, text: str, *, seconds: float = SAY_LIMIT) -> SpokenTurn:
        """Say a sentence in the offline voice, and return what came of it: its ``said`` has the agent's answer.

        Args:
            text: The sentence.
            seconds: How long to wait for the beginning of the answer.

        Raises:
            OpenRTCError: There is no voice, no answer was heard, or the connection is gone.
        """
        if text not in self._said:
            from openrtc.conversation.call.utterances import SAY, prepare_utterances

            (self._said[text],) = await prepare_utterances([(SAY, text)], Config())
        turn = await self._placed.say(self._said[text], seconds)
        if turn.latency is None:
            raise OpenRTCError(turn.left or f"no answer to {text!r} was heard within {seconds:g} s")
        return turn
