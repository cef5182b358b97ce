"""`Decision`: which agent answers a call, by which rule, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

FAILED, IGNORED = "failed: ", "ignored: "
FAULTS = (FAILED, IGNORED)
"""How the reason begins where a router failed, or answered what cannot be used."""

DECISION_ATTRIBUTE = "openrtc.decision"
"""Attribute of a job that carries the decision, also into another thread or process."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """What one rule or router said.

    Args:
        rule: Name of the rule (``job.agent``, ``room.prefix``) or of the router's plugin.
        source: Who asked it: ``openrtc`` for the built-in rules, else the distribution.
        answer: The agents that it named; None when it had no opinion.
        reason: Why, or what went wrong.
        ms: How long it took, in milliseconds.
    """

    rule: str
    source: str
    answer: tuple[str, ...] | None
    reason: str
    ms: float = 0.0

    @property
    def is_fault(self) -> bool:
        """Whether a router failed, or answered what cannot be used."""
        return self.reason.startswith(FAULTS)


@dataclass(frozen=True, slots=True)
class Decision:
    """Which agent answers a call, by which rule, and why.

    A router may return one, with ``agents`` or with ``rejected``; ``rule`` and ``trace`` are filled in for it.

    Args:
        agents: Names of the chosen agents; several are a cast that the first one leads. Empty when the call is
            rejected.
        rule: The rule or router that decided.
        reason: Why.
        rejected: Why the call is rejected, else None.
        trace: What every rule said that was asked.
    """

    agents: tuple[str, ...] = ()
    rule: str = ""
    reason: str = ""
    rejected: str | None = None
    trace: tuple[TraceLine, ...] = ()

    @classmethod
    def to(cls, agent: str, reason: str = "") -> Decision:
        """Choose one agent."""
        return cls(agents=(agent,), reason=reason)

    @classmethod
    def to_cast(cls, *agents: str, reason: str = "") -> Decision:
        """Choose several agents for one room; the first one leads."""
        return cls(agents=agents, reason=reason)

    @classmethod
    def reject(cls, reason: str) -> Decision:
        """Turn the call away."""
        return cls(rejected=reason)

    @property
    def name(self) -> str:
        """Name of the chosen agent; the names of several with ``+`` between them."""
        return "+".join(self.agents)

    def to_json(self) -> dict[str, Any]:
        """Return the decision as JSON-ready values, as ``openrtc route --json`` prints it."""
        return {
            "agents": list(self.agents),
            "rule": self.rule,
            "reason": self.reason,
            "rejected": self.rejected,
            "trace": [_line_to_json(line) for line in self.trace],
        }

    @classmethod
    def from_json(cls, text: str) -> Decision:
        """Read back what `to_json` made, after ``json.dumps``."""
        value = json.loads(text)
        trace = tuple(_line_from_json(line) for line in value["trace"])
        return cls(tuple(value["agents"]), value["rule"], value["reason"], value["rejected"], trace)


def _line_to_json(line: TraceLine) -> dict[str, Any]:
    return asdict(line) | {"answer": _as_list(line.answer), "ms": round(line.ms, 3)}


def _line_from_json(value: dict[str, Any]) -> TraceLine:
    answer = value["answer"]
    return TraceLine(**(value | {"answer": None if answer is None else tuple(answer)}))


def _as_list(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)
