"""What calls of a package's agents show: two of each, in text, with a scripted model in the place of theirs.

What happens for once, such as a client that is made for all calls, is nobody's harm: only what both calls did counts,
and only what stands in files of the package itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from openrtc.catalog.loaded import LoadedAgent
from openrtc.check.card import Finding, RuleVerdict
from openrtc.check.errors_of_code import is_slip
from openrtc.check.findings_file import FindingsFile
from openrtc.check.loading import list_roots
from openrtc.check.own_code import PackageFiles
from openrtc.check.rules import LONGEST_BLOCK
from openrtc.errors import OpenRTCError, one_line
from openrtc.observe.events import BlockBroken, CallError, CallLeftBehind, CallStarted, Event, LoopBlocked
from openrtc.plugins.lacks import tells_of_missing_key
from openrtc.rehearsal.rehearse import REHEARSAL_END_SECONDS, rehearse
from openrtc.rehearsal.script import Script
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.session.containment import run_contained
from openrtc.session.left_threads import list_left_threads
from openrtc.session.leftovers import CANCEL_SECONDS, LEFTOVER_SECONDS
from openrtc.settings.config import Config
from openrtc.threads import watch_started_threads
from openrtc.worker.coroutine_pool import CoroutineJob

CALL_SECONDS = 120.0
"""How long both calls of an agent may take."""
OF_CALLS = ("builds", "answers", "blocks-nothing", "cancels", "leaves-nothing")
"""The rules that calls tell of."""
_CALLS = 2
_HELLO = "Hello, can you help me?"
_ANSWER = "Yes, of course."
_MOST_ANSWERS = 500
_STEP = 0.05
_HOPELESS = 20.0
"""Seconds of blocking after which it was not to be broken off, and all that would come after it is given up."""
_FAULTS_OF_BUILD = ("a second time", "not an Agent", "cannot be told to a model", "of two calls")
"""What OpenRTC says of a factory that is wrong whatever it is given."""


class CallTrial:
    """Two calls of one agent.

    Args:
        runtime: What the calls share; it is not started.
        agent: The agent, which can be used.
        found: Where findings go.
        folders: Where files may be left that nobody else makes meanwhile.
    """

    def __init__(self, runtime: Runtime, agent: LoadedAgent, found: FindingsFile, folders: Sequence[Path] = ()) -> None:
        assert agent.spec is not None and agent.entry is not None
        self._runtime = runtime
        self._agent = agent
        self._found = found
        self._folders = folders
        self._own = PackageFiles(agent.entry, list_roots(agent.spec))
        self._calls: list[_CallNotes] = []

    async def hold(self) -> list[Finding]:
        """Hold the calls, and return what they show."""
        forget = self._runtime.events.subscribe(self._note)
        try:
            for _ in range(_CALLS):
                self._calls.append(_CallNotes())
                problem = await self._hold_one(self._calls[-1])
                if problem is not None:
                    return [*self._judge_calls(broken_off=True), *self._judge_problem(self._calls[-1], problem)]
                if self._calls[-1].undying:
                    break
        finally:
            forget()
        return [Finding("builds", RuleVerdict.PASSED, "a new one for each call"), *self._judge_calls()]

    async def _hold_one(self, notes: _CallNotes) -> OpenRTCError | None:
        """Hold a call; returns why it could not be held."""
        assert self._agent.spec is not None
        before = _list_files(self._folders)
        said = (self._agent.spec.examples or (_HELLO,))[0]
        try:
            async with rehearse(
                self._runtime,
                self._agent.name,
                model=lambda _: Script([_ANSWER] * _MOST_ANSWERS),
                linger=lambda job: self._linger(job, notes),
            ) as call:
                notes.job_id = call.call.job_id
                await call.run(said)
                notes.answered = any(text.strip() for _, text in call.said)
                notes.ended_at = time.monotonic()
        except OpenRTCError as error:
            return error
        if notes.left and not notes.given_up:
            await asyncio.wait(notes.left, timeout=CANCEL_SECONDS)
        notes.undying = [place for task in notes.left if not task.done() and (place := self._own.find_place(task))]
        notes.files = sorted(_list_files(self._folders) - before)
        return None

    async def _linger(self, job: CoroutineJob, notes: _CallNotes) -> None:
        """Wait, when a job has ended, until nothing is left of it; at most until it is told what is."""
        until = time.monotonic() + LEFTOVER_SECONDS + 1
        notes.given_up = bool(notes.ended_at) and time.monotonic() - notes.ended_at >= REHEARSAL_END_SECONDS
        if notes.given_up:
            notes.left = self._own.list_tasks(job.job_id)
            for task in notes.left:
                task.cancel()
            if notes.left:
                await asyncio.wait(notes.left, timeout=CANCEL_SECONDS)
            return
        while time.monotonic() < until:
            notes.left = self._own.list_tasks(job.job_id)
            if not notes.left and not list_left_threads(job.threads):
                return
            await asyncio.sleep(_STEP)

    def explain_endless(self) -> Iterator[Finding]:
        """Yield what is known of a call that has no end: where its code stands, which was cancelled long ago."""
        notes = self._calls[-1]
        places = [place for task in self._own.list_tasks(notes.job_id) if (place := self._own.find_place(task))]
        what = f"{self._agent.name}: its call has no end"
        verdict = RuleVerdict.FAILED if places and notes.ended_at else RuleVerdict.NOT_CHECKED
        yield Finding("cancels", verdict, what, "let CancelledError pass: raise it again", places[0] if places else "")

    def _note(self, event: Event) -> None:
        notes = self._calls[-1]
        if isinstance(event, CallStarted):
            notes.started = True
        elif isinstance(event, CallError) and self._own.holds(event.place):
            notes.errors.append(event)
        elif isinstance(event, CallLeftBehind):
            notes.behind.append(event)
        elif isinstance(event, LoopBlocked) and self._own.holds(event.place):
            notes.note_block(event)
            if event.ongoing and event.seconds >= _HOPELESS:
                self._give_up(event)
        elif isinstance(event, BlockBroken) and self._own.holds(event.place):
            notes.broken.append(event)

    def _give_up(self, event: LoopBlocked) -> None:
        """Tell that a call never lets go of the loop, and end the process: its loop does not come back."""
        what = f"{self._agent.name}: {event.function} blocked the loop for more than {event.seconds:.0f} s"
        self._found.add([Finding("blocks-nothing", RuleVerdict.FAILED, what, _FIX_BLOCK, event.place)])
        self._found.note(done=True, why="see blocks-nothing")
        os._exit(0)

    def _judge_calls(self, *, broken_off: bool = False) -> Iterator[Finding]:
        name, calls = self._agent.name, self._calls
        for event in (error for notes in calls for error in notes.errors):
            yield self._judge_error("answers" if calls[-1].started else "builds", event.error, event.place)
        yield from self._judge_blocks(broken_off)
        if broken_off:
            return
        if not any(notes.errors for notes in calls):
            if all(notes.answered for notes in calls):
                yield Finding("answers", RuleVerdict.PASSED, "it answers")
            else:
                yield Finding("answers", RuleVerdict.NOT_CHECKED, f"{name}: it said nothing")
        for place in {place for notes in calls for place in notes.undying}:
            what = f"{name}: a task goes on when it is cancelled"
            yield Finding("cancels", RuleVerdict.FAILED, what, "let CancelledError pass: raise it again", place)
        if not any(notes.undying for notes in calls):
            yield Finding("cancels", RuleVerdict.PASSED, "its calls end")
        yield from self._judge_leftovers()

    def _judge_blocks(self, broken_off: bool) -> Iterator[Finding]:
        # What a first call imports may take long on a busy machine: it is no fault of the package.
        both = set.intersection(*(notes.list_blocking() for notes in self._calls)) if len(self._calls) == _CALLS else ()
        broken = [event for notes in self._calls for event in notes.broken if notes.is_blame(event)]
        for event in broken:
            what = f"{self._agent.name}: {event.function} blocked the loop until it was broken off"
            yield Finding("blocks-nothing", RuleVerdict.FAILED, what, _FIX_BLOCK, event.place)
        for key in sorted(both):
            seconds, place = max(notes.blocks[key] for notes in self._calls)
            what = f"{self._agent.name}: {key[1]} blocked the loop for {seconds:.1f} s, in each call"
            yield Finding("blocks-nothing", RuleVerdict.FAILED, what, _FIX_BLOCK, place)
        if not both and not broken and not broken_off:
            yield Finding("blocks-nothing", RuleVerdict.PASSED, "no call does")

    def _judge_leftovers(self) -> Iterator[Finding]:
        name, calls = self._agent.name, self._calls
        if any(notes.given_up for notes in calls):
            what = f"{name}: its call had to be cancelled, {REHEARSAL_END_SECONDS:.0f} s after it was over"
            yield Finding("leaves-nothing", RuleVerdict.NOT_CHECKED, what)
            return
        clean = True
        for kind in ("tasks", "threads", "rooms"):
            each = [[event for event in notes.behind if getattr(event, kind)] for notes in calls]
            if all(each):
                clean = False
                event = each[-1][0]
                number = getattr(event, kind)
                what = f"{name}: each call leaves {number} {kind if number > 1 else kind[:-1]}, such as {event.place}"
                fix = "end it in on_exit, or in a shutdown callback of the job"
                yield Finding("leaves-nothing", RuleVerdict.FAILED, one_line(what), fix, _find_location(event.place))
        if all(notes.files for notes in calls):
            clean = False
            shown = ", ".join(Path(file).name for file in calls[-1].files[:3])
            what = f"{name}: each call leaves files, such as {shown}"
            yield Finding("leaves-nothing", RuleVerdict.FAILED, what, "delete them when the call ends")
        if clean:
            yield Finding("leaves-nothing", RuleVerdict.PASSED, "nothing is left")

    def _judge_problem(self, notes: _CallNotes, problem: OpenRTCError) -> Iterator[Finding]:
        """Yield what a call shows that could not be held."""
        name, said = self._agent.name, one_line(str(problem))
        rule = "answers" if notes.started else "builds"
        if rule == "answers":
            yield Finding("builds", RuleVerdict.PASSED, "a new one for each call")
        if rule == "builds" and any(part in said for part in _FAULTS_OF_BUILD):
            said, _, fix = said.partition(" failed: ")[2].removesuffix(")").rpartition(" (")
            yield Finding(rule, RuleVerdict.FAILED, said, fix)
        elif not notes.errors:
            yield Finding(rule, RuleVerdict.NOT_CHECKED, said)
        for other in OF_CALLS:
            if other not in ("builds", rule):
                yield Finding(other, RuleVerdict.NOT_CHECKED, f"{name}: its call could not be held")

    def _judge_error(self, rule: str, error: str, place: str) -> Finding:
        what = one_line(f"{self._agent.name}: {error}")
        why = ""
        if tells_of_missing_key(error) or not is_slip(error):
            why = "which may come of what is not set or not there here"
        elif needed := self._own.find_need():
            why = f"and its code uses {needed}, which there is none of here"
        if why:
            return Finding(rule, RuleVerdict.NOT_CHECKED, f"{what}, {why}", "", place)
        return Finding(rule, RuleVerdict.FAILED, what, "see that line", place)


_FIX_BLOCK = "await it, or hand it to a thread: await asyncio.to_thread(…)"


class _CallNotes:
    """What one call has shown."""

    def __init__(self) -> None:
        self.job_id = ""
        self.started = False
        self.answered = False
        self.ended_at = 0.0
        self.given_up = False
        self.left: list[asyncio.Task[Any]] = []
        self.undying: list[str] = []
        self.files: list[str] = []
        self.errors: list[CallError] = []
        self.behind: list[CallLeftBehind] = []
        self.blocks: dict[tuple[str, str], tuple[float, str]] = {}
        self.broken: list[BlockBroken] = []
        self._importing: set[str] = set()

    def note_block(self, event: LoopBlocked) -> None:
        """Note the longest block of each function."""
        key = (event.place.rpartition(":")[0], event.function)
        if event.ongoing and _is_importing():
            self._importing.add(event.function)
        self.blocks[key] = max(self.blocks.get(key, (0.0, "")), (event.seconds, event.place))

    def list_blocking(self) -> set[tuple[str, str]]:
        """Return the functions that have blocked the loop for longer than one may."""
        return {key for key, (seconds, _) in self.blocks.items() if seconds >= LONGEST_BLOCK}

    def is_blame(self, event: BlockBroken) -> bool:
        """Whether a function was broken off that did not import something, which a busy machine may make long."""
        return event.function not in self._importing


def hold_calls(config: Config, agents: Sequence[LoadedAgent], found: FindingsFile) -> NoReturn:
    """Hold calls of agents, one after the other, write down what they show, and end the process.

    Nothing is waited for: a task may go on that was cancelled.

    Args:
        config: The settings, of which the policy allows the package alone.
        agents: Its agents.
        found: Where findings go.
    """
    watch_started_threads()

    async def hold() -> NoReturn:
        await hold_all(build_runtime(config), agents, found, (Path.cwd(), Path(tempfile.gettempdir())))
        found.note(done=True)
        os._exit(0)

    run_contained(hold())
    raise AssertionError  # for type checkers: the process has ended


async def hold_all(
    runtime: Runtime, agents: Sequence[LoadedAgent], found: FindingsFile, folders: Sequence[Path] = ()
) -> None:
    """Hold calls of agents, one after the other, and write down what they show; one without an end ends the process.

    Args:
        runtime: What the calls share; it is not started.
        agents: Its agents.
        found: Where findings go.
        folders: Where files may be left that nobody else makes meanwhile.
    """
    for agent in agents:
        if why := why_no_calls(agent):
            found.add(skip_calls(agent, why))
            continue
        trial = CallTrial(runtime, agent, found, folders)
        holding = asyncio.ensure_future(trial.hold())
        done, _ = await asyncio.wait({holding}, timeout=CALL_SECONDS)
        if not done:
            found.add(trial.explain_endless())
            found.note(done=True, why="see cancels")
            os._exit(0)
        found.add(holding.result())


def skip_calls(agent: LoadedAgent, why: str) -> Iterator[Finding]:
    """Yield that nothing is known of an agent's calls.

    Args:
        agent: The agent.
        why: Why none are held.
    """
    for rule in OF_CALLS:
        if rule == "builds" and agent.spec is not None and agent.spec.entrypoint is not None:
            yield Finding(rule, RuleVerdict.NOTHING, "an entrypoint builds its agents itself")
        else:
            yield Finding(rule, RuleVerdict.NOT_CHECKED, f"{agent.name}: {why}")


def why_no_calls(agent: LoadedAgent) -> str:
    """Return why no calls of an agent can be held here; empty where they can."""
    if agent.spec is None or agent.entry is None or not agent.usable:
        return "see agents"
    if agent.spec.entrypoint is not None:
        return "a LiveKit entrypoint makes its session in a room, of which there is none here"
    return ""


def _list_files(folders: Iterable[Path]) -> set[str]:
    """Return the files in folders."""
    return {os.path.join(place, name) for folder in folders for place, _, names in os.walk(folder) for name in names}


def _is_importing() -> bool:
    """Whether the loop's thread is importing something."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _find_location(place: str) -> str:
    return place.rpartition(" at ")[2] if " at " in place else ""
