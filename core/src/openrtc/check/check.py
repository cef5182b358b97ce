"""Checks a package by the rules: what its metadata says here, everything else in a process without credentials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from openrtc.check.card import Finding, RuleVerdict, ScoreCard, build_card
from openrtc.check.findings_file import REQUEST, STACK, FindingsFile
from openrtc.check.loading import judge_import_cost
from openrtc.check.metadata_rules import judge_metadata
from openrtc.check.rules import CHECK_RULES, SLOWEST_IMPORT
from openrtc.check.subject import Subject, open_subject
from openrtc.check.surroundings import list_variables
from openrtc.errors import one_line
from openrtc.plugins.fault import locate_in_dump
from openrtc.posix import kill_group, usable_cores

IMPORT_SECONDS = 60.0
"""How long an import may take before it is given up."""
MOST_SECONDS = 900.0
"""How long all of it may take: a package that has switched off the clock of its process is ended then."""
BUSY_LOAD = 1.5
"""Processes that want a core, for each core, from which on times tell nothing."""
IMPORT, CALLS = "import", "calls"
"""What the process does: the steps that it notes as it begins them."""


def check_package(asked: str, import_seconds: float = IMPORT_SECONDS) -> ScoreCard:
    """Check a package by all rules.

    Args:
        asked: The name of an installed distribution, the folder of a project, or a wheel.
        import_seconds: How long its import may take.

    Returns:
        What was found of each rule.

    Raises:
        OpenRTCError: There is no such package, or it cannot be installed beside this environment.
    """
    with open_subject(asked) as subject:
        findings = [*judge_metadata(subject.metadata), *_check_apart(subject, import_seconds)]
    return build_card(subject.name, subject.version, findings, subject.note)


def _check_apart(subject: Subject, import_seconds: float) -> Iterator[Finding]:
    findings, noted = _run_child(subject, import_seconds)
    if "seconds" in noted and all(one.verdict is RuleVerdict.PASSED for one in findings if one.rule == "imports"):
        cost = list(judge_import_cost(noted["seconds"], noted["bytes"]))
        if any(one.verdict is RuleVerdict.FAILED for one in cost):  # the machine may have been busy, or the files cold
            again = _run_child(subject, import_seconds, import_only=True)[1]
            least = {name: min(noted[name], again.get(name, noted[name])) for name in ("seconds", "idle", "bytes")}
            busy = _is_machine_busy() and least["idle"] < SLOWEST_IMPORT  # what it waits for, it waits for anywhere
            cost = list(judge_import_cost(least["seconds"], least["bytes"], busy=busy))
        findings += cost
    yield from findings
    yield from _explain_missing(findings, noted)


def _is_machine_busy() -> bool:
    """Whether so much else runs that all code takes longer than it would."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > BUSY_LOAD * usable_cores()


def _explain_missing(findings: Sequence[Finding], noted: dict[str, Any]) -> Iterator[Finding]:
    """Yield that rules were not checked of which nothing was found, and why."""
    known = {one.rule for one in findings} | {"metadata", "licence", "described"}
    why = noted.get("why") or next((f"see {one.rule}" for one in findings if one.verdict is RuleVerdict.FAILED), "")
    for rule in CHECK_RULES:
        if rule.name not in known:
            yield Finding(rule.name, RuleVerdict.NOT_CHECKED, one_line(why or "it did not come to that", 200))


def _run_child(
    subject: Subject, import_seconds: float, *, import_only: bool = False
) -> tuple[list[Finding], dict[str, Any]]:
    """Return what another process finds, however it ends."""
    with tempfile.TemporaryDirectory(prefix="openrtc-check-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        for name in ("work", "temporary"):
            (folder / name).mkdir()
        request = {
            "distribution": subject.name,
            "site": str(subject.site or ""),
            "import_seconds": import_seconds,
            "import_only": import_only,
        }
        (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        code, said = _run(folder)
        findings, noted = FindingsFile(folder).read()
        if not noted.get("done"):
            stack = folder / STACK
            dump = stack.read_text(encoding="utf-8", errors="replace") if stack.exists() else ""
            findings += _explain_end(noted, code, dump, said)
        return findings, noted


def _run(folder: Path) -> tuple[int | None, str]:
    """Run the process, and return its exit code, and the last line that it said; None where it had no end."""
    with (folder / "said.log").open("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "openrtc.check.child", str(folder)],
            cwd=folder / "work",
            env=list_variables(folder / "temporary"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code: int | None = None
        try:
            code = process.wait(MOST_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            kill_group(process)
            process.kill()
            process.wait()
        log.seek(0)
        lines = [line for line in log.read().splitlines() if line.strip()]
        return code, one_line(lines[-1], 200) if lines else ""


def _explain_end(noted: dict[str, Any], code: int | None, dump: str, said: str) -> Iterable[Finding]:
    """Return what is found of a process that has not come to its end, by the step at which it was."""
    place = locate_in_dump(dump, noted.get("module", "")) or ""
    hung = code is None or dump.startswith("Timeout")
    if noted.get("step") == IMPORT:
        fix = 'put what runs a program below if __name__ == "__main__":'
        if hung:
            what = f"{noted['module']}: its import had not ended after {noted['limit']:g} s"
            fix = "wait for nothing at import"
        elif code is not None and code < 0:
            what = f"{noted['module']}: its import crashed Python (signal {-code})"
            fix = "update or reinstall its compiled dependencies"
        else:
            what = f"{noted['module']}: its import ended the process with exit code {code}"
        noted["why"] = "see imports"
        return [Finding("imports", RuleVerdict.FAILED, what, fix, place)]
    if noted.get("step") == CALLS:
        if hung:
            what = "its call had no end" if not place else "its call had no end, and stood here"
        else:
            what = f"its call ended the process ({f'signal {-code}' if code and code < 0 else f'exit code {code}'})"
        noted["why"] = "see blocks-nothing"
        verdict = RuleVerdict.FAILED if hung and place else RuleVerdict.NOT_CHECKED
        return [Finding("blocks-nothing", verdict, what, "", place)]
    noted["why"] = f"OpenRTC could not start here (exit code {code}): {said}"
    return []
