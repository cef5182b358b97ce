"""Calls the plugins' ``openrtc_checks``, in a process that has loaded them all, and reads what they have found.

Each is called in a thread and a loop of its own: one that blocks keeps no other from its answer. What is known is
written down at once, so that it is known, too, when one of them ends the process or holds the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from openrtc.catalog.loaded import LoadedPlugin
from openrtc.errors import one_line
from openrtc.model.check_result import CheckResult, Verdict
from openrtc.plugins.fault import source_location
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.implementation import Implementation
from openrtc.settings.config import Config

CHECKS_HOOK = "openrtc_checks"
CHECKS_LIMIT = 5.0
"""Seconds that each implementation has."""
LATE_LIMIT = 1.0
"""How much longer is waited for one that does not give its thread back, or holds the interpreter's lock."""
APART_SECONDS = 0.1
"""Between the beginnings of two that have not come back at once."""
MOST_RESULTS = 100
"""Results of one implementation; what comes after is not read."""


def call_checks(plugins: Iterable[LoadedPlugin], config: Config, file: Path) -> None:
    """Call ``openrtc_checks`` of all plugins at once, and write down what they find.

    Args:
        plugins: All plugins that were loaded.
        config: What the plugins get: the settings without secrets.
        file: Where it is written, as `read_checks` reads it.
    """
    hooks = Hooks(plugin for plugin in plugins if plugin.usable and plugin.target is not None)
    implementations = hooks.implementations(CHECKS_HOOK)
    if not implementations:
        return
    with _Answers(file, implementations) as answers:
        # It ends the process when code holds the interpreter's lock, in which no thread could say so.
        faulthandler.dump_traceback_later(CHECKS_LIMIT + 2 * LATE_LIMIT, exit=True)
        threads = []
        for number, one in enumerate(implementations):
            answers.write(
                number, [_fail(one, f"the process has ended while {CHECKS_HOOK} ran, or another plugin's beside it")]
            )
            work = partial(_answer, answers, number, hooks, one, config)
            threads.append(threading.Thread(target=work, daemon=True, name=f"hook-{CHECKS_HOOK}"))
            threads[-1].start()
            # So one that ends the process at once is known: most others have their answer by then.
            threads[-1].join(APART_SECONDS)
        until = time.monotonic() + CHECKS_LIMIT + LATE_LIMIT
        for number, thread in enumerate(threads):
            thread.join(max(until - time.monotonic(), 0))
            if thread.is_alive():
                answers.write(number, [_fail(implementations[number], f"{CHECKS_HOOK} has not come back")])
        faulthandler.cancel_dump_traceback_later()


class _Answers:
    """Writes down what is known of each implementation so far.

    Args:
        file: Where.
        implementations: All of them.
    """

    def __init__(self, file: Path, implementations: Sequence[Implementation]) -> None:
        self._file = file.open("w", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        for number, one in enumerate(implementations):
            fix = "first do what the lines about other plugins' checks say"
            missed = _fail(one, f"{CHECKS_HOOK} was not called: the process had ended within another one")
            self.write(number, [replace(missed, verdict=Verdict.WARNING, fix=fix)])

    def write(self, number: int, results: Sequence[CheckResult]) -> None:
        """Write what an implementation has found; the last line of each counts."""
        fields = ("name", "verdict", "message", "fix", "location", "distribution")
        rows = [{key: str(getattr(one, key)) for key in fields} for one in results]
        with self._lock:
            self._file.write(json.dumps([number, rows]) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.acquire()  # for good: whoever comes late has nowhere to write to
        self._file.close()


def _answer(answers: _Answers, number: int, hooks: Hooks, one: Implementation, config: Config) -> None:
    answers.write(number, asyncio.run(_ask(hooks, one, config)))


def read_checks(file: Path) -> Iterator[CheckResult]:
    """Yield what `call_checks` has written: of each implementation the last."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no plugin has checks
        return
    found: dict[int, list[dict[str, str]]] = {}
    for line in lines:
        try:
            number, results = json.loads(line)
        except ValueError:  # the process has ended within it
            continue
        found[number] = results
    for results in found.values():
        yield from (CheckResult(**fields) for fields in results)


async def _ask(hooks: Hooks, one: Implementation, config: Config) -> Sequence[CheckResult]:
    result = await hooks.ask(one, limit=CHECKS_LIMIT, config=config)
    if result.error is not None:
        return [_fail(one, f"{CHECKS_HOOK} has failed: {result.error_line}")]
    try:
        return _read_results(one, result.value)
    except BaseException as error:  # the package's, where it yields its results
        return [_fail(one, f"{CHECKS_HOOK} has failed: {one_line(f'{type(error).__name__}: {error}')}")]


def _read_results(one: Implementation, value: Any) -> Sequence[CheckResult]:
    if value is None:
        return ()
    results = [value] if isinstance(value, CheckResult) or not isinstance(value, Iterable) else value
    read: list[CheckResult] = []
    for result in results:
        if not isinstance(result, CheckResult):
            fix = "let it return [CheckResult(name=…, verdict=…, message=…, fix=…)]"
            return [replace(_fail(one, f"{CHECKS_HOOK} gave {type(result).__name__}, not a CheckResult"), fix=fix)]
        texts = {key: one_line(str(getattr(result, key))) for key in ("name", "message", "fix", "location")}
        read.append(replace(result, **texts, verdict=str(result.verdict), distribution=one.distribution))
        if len(read) == MOST_RESULTS:
            break
    return read


def _fail(one: Implementation, message: str) -> CheckResult:
    return CheckResult(
        name=CHECKS_HOOK,
        verdict=Verdict.FAULT,
        message=message,
        fix=f"fix or update {one.distribution}, or switch it off: --deny {one.distribution}",
        location=source_location(one.function) or "",
        distribution=one.distribution,
    )
