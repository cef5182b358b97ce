"""`CheckResult`: one line of `openrtc doctor`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from openrtc.errors import OpenRTCError, one_line
from openrtc.suggest import did_you_mean


class Verdict(StrEnum):
    """What a check comes to."""

    OK = "ok"
    """All is well."""
    WARNING = "warning"
    """Calls are answered, and somebody should look at it."""
    FAULT = "fault"
    """Something does not work: `openrtc doctor` ends with exit code 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What a check of `openrtc doctor` has found.

    Args:
        name: What was looked at, in a word or two: ``database``.
        verdict: ``ok``, ``warning`` or ``fault``.
        message: What was found, in one line. It is shown to whoever runs the command: let it hold no secret.
        fix: What to do about it, best a command line; empty where nothing is wrong.
        location: ``file:line`` of the cause, where there is one.
        distribution: The distribution whose plugin has looked; OpenRTC sets it, and it is empty for its own checks.
    """

    name: str
    verdict: str
    message: str = ""
    fix: str = ""
    location: str = ""
    distribution: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in tuple(Verdict):
            known = tuple(map(str, Verdict))
            fix = did_you_mean(str(self.verdict), known, f"it is {', '.join(known[:-1])} or {known[-1]}")
            raise OpenRTCError(f'a CheckResult has the verdict "{one_line(str(self.verdict), 60)}"', fix=fix)

    def to_json(self) -> dict[str, str | None]:
        """Return the fields, with None for what is empty."""
        return {key: value or None for key, value in asdict(self).items()}
