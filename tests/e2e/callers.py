"""Callers as a test sees them: the process that plays them, and each of them."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.child import environment
from e2e.pcm import Pcm, write_wav
from e2e.recording import Recording
from e2e.tones import who_was_heard
from e2e.worker_template import worker_template

ANSWER_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """When an answer was heard, by the wall clock."""

    began: float
    ended: float


class CallersProcess:
    """One process with any number of callers.

    Args:
        url: Address of the LiveKit server.
        folder: Where recordings and the process's standard error go.
        module: What the process runs.
    """

    def __init__(self, url: str, folder: Path, module: str = "e2e.caller_process") -> None:
        self.url = url
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._answers: dict[int, Future[Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        theirs, ours = os.pipe(), os.pipe()
        self._stdin, self._stdout = os.fdopen(theirs[1], "w", buffering=1), os.fdopen(ours[0])
        with (folder / "callers.log").open("wb") as errors:
            self._process = worker_template().start(
                ["-m", module], environ=environment(), cwd=None, files=(theirs[0], ours[1], errors.fileno())
            )
        os.close(theirs[0])
        os.close(ours[1])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def join(self, name: str, token: str, *, speaks: bool = True, subscribes: bool = True) -> Caller:
        """Let a caller join the room that ``token`` is for, and wait until it is there."""
        caller, joined = self.start_joining(name, token, speaks=speaks, subscribes=subscribes)
        joined.result(ANSWER_TIMEOUT)
        return caller

    def start_joining(
        self, name: str, token: str, *, speaks: bool = True, subscribes: bool = True
    ) -> tuple[Caller, Future[float]]:
        """Let a caller join without waiting; the future holds when it was there."""
        how = {"speaks": speaks, "subscribes": subscribes}
        return Caller(self, name), self.command("join", caller=name, url=self.url, token=token, **how)

    def command(self, do: str, **values: Any) -> Future[Any]:
        """Send a command; the future is its answer, or fails with what went wrong."""
        number = next(self._numbers)
        future: Future[Any] = Future()
        self._answers[number] = future
        self._stdin.write(json.dumps({"id": number, "do": do, **values}) + "\n")
        return future

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 30.0) -> dict[str, Any]:
        """Return the first event that is wanted, past or to come.

        Raises:
            TimeoutError: There was none.
        """
        until = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self.events:
                    if wanted(event):
                        return event
                if not self._changed.wait(until - time.monotonic()) and time.monotonic() >= until:
                    raise TimeoutError(f"no such event in {timeout:g} s; there were {self.events[-20:]}")

    def forget(self) -> None:
        """Let everybody leave, and forget them, for the next test; a process that cannot is ended."""
        try:
            self.command("forget").result(20)
        except (OSError, RuntimeError, TimeoutError):
            self.close()
        self.events.clear()

    def close(self) -> None:
        """Let everybody leave, and end the process."""
        if self.running:
            self._stdin.close()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._reader.join(10)
        self._stdout.close()

    def _read(self) -> None:
        for line in self._stdout:
            message = json.loads(line)
            if "answer" in message:
                self._resolve(message)
            else:
                with self._changed:
                    self.events.append(message)
                    self._changed.notify_all()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(RuntimeError(f"the callers' process has ended: {self._last_words()}"))

    def _resolve(self, message: dict[str, Any]) -> None:
        future = self._answers.pop(message["answer"])
        if "error" in message:
            future.set_exception(RuntimeError(message["error"]))
        else:
            future.set_result(message["value"])

    def _last_words(self) -> str:
        return (self.folder / "callers.log").read_text(errors="replace")[-2000:]


class Caller:
    """One caller in one room.

    Args:
        process: The process that plays it.
        name: Its name in the test.
    """

    def __init__(self, process: CallersProcess, name: str) -> None:
        self.process = process
        self.name = name

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """Return what has happened in the caller's room, all of it or one kind."""
        return [event for event in self.process.events if event["caller"] == self.name and kind in ("", event["event"])]

    def wait_for(self, event: str, timeout: float = 30.0, /, **values: Any) -> dict[str, Any]:
        """Return the first event of a kind with these values, past or to come."""
        wanted = {"event": event, "caller": self.name, **values}
        return self.process.wait_for(lambda one: wanted.items() <= one.items(), timeout)

    def wait_for_agent(self, timeout: float = 30.0) -> dict[str, Any]:
        """Return the event of the first agent that is in the room: its identity, name and attributes."""
        return self.wait_for("participant_connected", timeout, kind="AGENT")

    def say(self, sound: Pcm) -> Answer:
        """Say something, wait until it is said, and return when it began and ended."""
        return self.start_saying(sound)()

    def start_saying(self, sound: Pcm) -> Callable[[], Answer]:
        """Begin to say something; calling the result waits for the end."""
        path = self.process.folder / f"{self.name}-says-{time.monotonic_ns()}.wav"
        write_wav(path, sound)
        future = self.process.command("say", caller=self.name, path=str(path))
        return lambda: Answer(*future.result(ANSWER_TIMEOUT))

    def send_text(self, text: str) -> None:
        """Send a chat message to the agent."""
        self.process.command("send_text", caller=self.name, text=text).result(ANSWER_TIMEOUT)

    def ask_session(self, kind: str, agent: str, timeout: float = 5.0, text: str = "") -> dict[str, Any] | None:
        """Send a request to an agent's session; return the answer, None when there is none in time."""
        values = {"caller": self.name, "kind": kind, "agent": agent, "timeout": timeout, "text": text}
        answer: dict[str, Any] | None = self.process.command("ask_session", **values).result(timeout + 10.0)
        return answer

    def subscribe(self) -> None:
        """Subscribe to all tracks that are there; only who has joined without has to."""
        self.process.command("subscribe", caller=self.name).result(ANSWER_TIMEOUT)

    def wait_for_answer(self, after: float, *, quiet: float = 1.0, timeout: float = 30.0) -> Answer | None:
        """Return when somebody was heard after ``after`` until there was silence; None when nobody was."""
        future = self.process.command("wait_for_answer", caller=self.name, after=after, quiet=quiet, timeout=timeout)
        heard = future.result(timeout + ANSWER_TIMEOUT)
        return None if heard is None else Answer(**heard)

    def wait_for_tones(self, tones: Mapping[str, float], timeout: float = 40.0) -> set[str]:
        """Return whose tones are heard, as soon as there are any."""
        until = time.monotonic() + timeout
        while not (heard := {who for one in self.recordings() for who in who_was_heard(one.sound, tones)}):
            assert time.monotonic() < until, f"{self.name} hears nobody in {timeout:g} s"
            time.sleep(0.1)
        return heard

    def recordings(self) -> list[Recording]:
        """Return what was heard so far, one recording a track."""
        saved = self.process.command("save", caller=self.name, folder=str(self.process.folder))
        return [Recording.load(one) for one in saved.result(ANSWER_TIMEOUT) if one["anchors"]]

    def leave(self) -> None:
        """Leave the room."""
        self.process.command("leave", caller=self.name).result(ANSWER_TIMEOUT)
