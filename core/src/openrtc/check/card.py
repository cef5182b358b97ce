"""`ScoreCard`: what was found of each rule, and the level that this makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from openrtc.check.rules import CHECK_RULES, CheckRule, Level
from openrtc.errors import one_line

LEVELS = tuple(Level)


class RuleVerdict(StrEnum):
    """What was found of a rule."""

    PASSED = "passed"
    """It holds."""
    FAILED = "failed"
    """It does not, which was seen."""
    NOT_CHECKED = "not checked"
    """It could not be told here."""
    NOTHING = "does not apply"
    """The package has nothing that the rule is about."""


_WORST = (RuleVerdict.FAILED, RuleVerdict.NOT_CHECKED, RuleVerdict.PASSED, RuleVerdict.NOTHING)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found of a rule.

    Args:
        rule: The rule's name.
        verdict: What it comes to.
        what: What was seen, in one line.
        fix: What to do about it.
        location: ``file:line``.
    """

    rule: str
    verdict: RuleVerdict
    what: str = ""
    fix: str = ""
    location: str = ""

    def to_json(self) -> dict[str, str]:
        """Return its fields for a JSON document."""
        fields = ("rule", "verdict", "what", "fix", "location")
        return {name: str(getattr(self, name)) for name in fields}


def read_finding(fields: Mapping[str, str]) -> Finding:
    """Return the finding of which these are the fields."""
    return Finding(fields["rule"], RuleVerdict(fields["verdict"]), fields["what"], fields["fix"], fields["location"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all findings of a rule come to.

    Args:
        rule: The rule.
        findings: What was found.
    """

    rule: CheckRule
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> RuleVerdict:
        """The worst of the findings' verdicts."""
        return min((one.verdict for one in self.findings), key=_WORST.index, default=RuleVerdict.NOT_CHECKED)

    @property
    def telling(self) -> tuple[Finding, ...]:
        """The findings that the verdict comes from; each text once."""
        told = {one.what: one for one in self.findings if one.verdict is self.verdict}
        return tuple(told.values())

    @property
    def what(self) -> str:
        """What was seen, in one line."""
        return one_line("; ".join(one.what for one in self.telling if one.what), 2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCard:
    """What was found of a package.

    Args:
        distribution: Its name.
        version: Its version.
        outcomes: What was found of each rule, in their order.
        note: What to know about how it was checked.
    """

    distribution: str
    version: str
    outcomes: tuple[Outcome, ...]
    note: str = ""

    @property
    def level(self) -> Level | None:
        """The highest level of which all rules hold, or do not apply; None where bronze has one that does not."""
        reached = None
        for level in LEVELS:
            if self.list_missing(level):
                break
            reached = level
        return reached

    def list_missing(self, level: Level) -> list[Outcome]:
        """Return what keeps the package from a level: what has failed, and what could not be checked.

        Args:
            level: The level; the rules of those below it count too.
        """
        counted = LEVELS[: LEVELS.index(level) + 1]
        return [
            one
            for one in self.outcomes
            if one.rule.level in counted and one.verdict in (RuleVerdict.FAILED, RuleVerdict.NOT_CHECKED)
        ]

    def reaches(self, level: Level) -> bool:
        """Whether the package has reached a level."""
        return not self.list_missing(level)

    def to_json(self) -> dict[str, Any]:
        """Return it for a JSON document."""
        return {
            "distribution": self.distribution,
            "version": self.version,
            "level": self.level,
            "note": self.note or None,
            "rules": [
                {
                    "name": one.rule.name,
                    "level": one.rule.level,
                    "verdict": one.verdict,
                    "what": one.what,
                    "why": one.rule.why,
                    "findings": [finding.to_json() for finding in one.findings],
                }
                for one in self.outcomes
            ],
        }


def build_card(distribution: str, version: str, findings: Iterable[Finding], note: str = "") -> ScoreCard:
    """Return the score card of a package.

    Args:
        distribution: Its name.
        version: Its version.
        findings: What was found.
        note: What to know about how it was checked.
    """
    every: Sequence[Finding] = list(findings)
    outcomes = tuple(Outcome(rule, tuple(one for one in every if one.rule == rule.name)) for rule in CHECK_RULES)
    return ScoreCard(distribution=distribution, version=version, outcomes=outcomes, note=note)
