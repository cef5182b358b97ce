"""Builds the lines of `openrtc doctor`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from openrtc.errors import OpenRTCError, one_line, summarize_error
from openrtc.model.check_result import CheckResult, Verdict
from openrtc.model.status import Status

REQUIREMENTS, LEFTOVERS = "requirements", "leftovers"
MEND_FIRST = f"do what {REQUIREMENTS} and {LEFTOVERS} say, then look again"

_ENDS_WITH_FIX = re.compile(r"(?P<message>.*\S) \((?P<fix>[^()]*(?:\([^()]*\)[^()]*)*)\)", re.DOTALL)
"""A line as `OpenRTCError` writes it: its fix stands in brackets at its end, and may hold brackets."""


def ok(name: str, message: str) -> CheckResult:
    """Return that all is well."""
    return CheckResult(name=name, verdict=Verdict.OK, message=one_line(message))


def warn(name: str, message: str, fix: str, location: str = "") -> CheckResult:
    """Return what somebody should look at."""
    return CheckResult(name=name, verdict=Verdict.WARNING, message=one_line(message), fix=fix, location=location)


def fail(name: str, message: str, fix: str, location: str = "") -> CheckResult:
    """Return what does not work."""
    return CheckResult(name=name, verdict=Verdict.FAULT, message=one_line(message), fix=fix, location=location)


def of_error(name: str, error: OpenRTCError, verdict: Verdict = Verdict.FAULT) -> CheckResult:
    """Return an error as a line; where it came from is its location."""
    origin = error.origin or ""
    return CheckResult(
        name=name, verdict=verdict, message=one_line(error.message), fix=error.fix or "", location=origin
    )


def of_status(name: str, distribution: str, status: Status) -> CheckResult:
    """Return where an agent or plugin stands that cannot be used.

    Args:
        name: What it is.
        distribution: The distribution that brings it.
        status: Where it stands.
    """
    return fail(name, f"{status.state}, of {distribution}: {status.reason}", status.fix or "", status.location or "")


def of_line(name: str, line: str, verdict: Verdict = Verdict.WARNING, fix: str = "") -> CheckResult:
    """Return a warning that another command would print, with the fix that stands at its end.

    Args:
        name: What was looked at.
        line: The warning.
        verdict: What it comes to.
        fix: What to do where the line does not say it.
    """
    found = _ENDS_WITH_FIX.fullmatch(line)
    message = found["message"] if found else line
    return CheckResult(
        name=name, verdict=verdict, message=one_line(message), fix=(found["fix"] if found else "") or fix
    )


def guard(name: str, check: Callable[[], Iterable[CheckResult]]) -> list[CheckResult]:
    """Run a check: one that fails, as on a machine that nobody has thought of, keeps no other from its answer.

    Args:
        name: What is looked at.
        check: Looks at it.
    """
    try:
        return list(check())
    except ImportError as error:
        return [fail(name, f"it cannot be looked at: {summarize_error(error, 200)}", MEND_FIRST)]
    except Exception as error:  # see the docstring
        return [warn(name, f"it cannot be looked at: {summarize_error(error, 200)}", "report it to OpenRTC's authors")]
