"""Answers the commonest requirements without `packaging`, whose import takes 28 ms, a quarter of ``list-agents``.

Plain release numbers compare like tuples of integers (PEP 440). Whatever is not plain is left to `packaging`.
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Collection, Mapping

from openrtc.discovery.metadata_folders import Installed
from openrtc.model.names import normalise_name

DISTRIBUTION_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
RELEASE = r"[0-9]{1,9}(?:\.[0-9]{1,9})*"
CLAUSE = rf"(?:>=|<=|==|!=|~=|<|>) ?{RELEASE}"
CLAUSES = rf"(?:{CLAUSE}(?: ?, ?{CLAUSE})*)?"

REQUIREMENT = re.compile(rf"(?P<name>{DISTRIBUTION_NAME}) ?\(?(?P<clauses>{CLAUSES})\)? ?(?:;(?P<marker>.*))?")
ONLY_EXTRA = re.compile(r"""[^;]*; ?extra ?== ?["']([A-Za-z0-9._-]+)["']""")
PYTHON_MARKER = re.compile(
    rf"""(?P<what>python_version|python_full_version) ?(?P<sign>>=|<=|==|!=|<|>) ?(["'])(?P<release>{RELEASE})\3"""
)
PLATFORM_MARKER = re.compile(r"""sys_platform ?(?P<sign>==|!=) ?(["'])(?P<name>\w+)\2""")
COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}

PRE_RELEASE = {"alpha": "a", "beta": "b", "candidate": "rc"}


def python_version() -> str:
    """Return the version of this Python as PEP 440 writes it; the module `platform` takes 3 ms to say the same."""
    major, minor, micro, level, serial = sys.version_info
    return f"{major}.{minor}.{micro}" + ("" if level == "final" else f"{PRE_RELEASE[level]}{serial}")


def is_plainly_met(text: str, extras: Collection[str], installed: Mapping[str, Installed]) -> bool:
    """Whether a requirement is of a common kind, and met or not asked for; False leaves it open.

    Args:
        text: The requirement, with single spaces for white space.
        extras: Normalised names of the extras that are asked for.
        installed: What is installed.
    """
    if only := ONLY_EXTRA.fullmatch(text):
        return normalise_name(only[1]) not in extras
    plain = REQUIREMENT.fullmatch(text)
    if plain is None:
        return False
    applies = _evaluate(plain["marker"].strip()) if plain["marker"] is not None else True
    if applies is None:
        return False
    one = installed.get(normalise_name(plain["name"]))
    return not applies or bool(one and meets_plainly(plain["clauses"], one.version))


def meets_plainly(clauses: str, version: str) -> bool:
    """Whether a version is a plain release that all clauses ask for; False leaves it open.

    Args:
        clauses: Such as ``>=1.8, <2``.
        version: The version.
    """
    if not (re.fullmatch(CLAUSES, clauses) and re.fullmatch(RELEASE, version)):
        return False
    return all(_meets(clause.strip(), version) for clause in clauses.split(",") if clause.strip())


def _meets(clause: str, version: str) -> bool:
    sign = clause[: 2 if clause[1] == "=" else 1]
    there, limit = _numbers(version), _numbers(clause[len(sign) :].strip())
    longest = max(len(there), len(limit))
    padded = [numbers + [0] * (longest - len(numbers)) for numbers in (there, limit)]
    if sign == "~=":  # at least that, and the same but for the last number
        return len(limit) > 1 and padded[0] >= padded[1] and padded[0][: len(limit) - 1] == limit[:-1]
    return bool(COMPARE[sign](*padded))


def _numbers(release: str) -> list[int]:
    return [int(part) for part in release.split(".")]


def _evaluate(marker: str) -> bool | None:
    """Return whether a marker holds, None where it is not plain."""
    answers = [_evaluate_one(part.strip()) for part in marker.split(" and ")]
    return None if None in answers else all(answers)


def _evaluate_one(part: str) -> bool | None:
    if found := PYTHON_MARKER.fullmatch(part):
        version = python_version()
        if found["what"] == "python_version":
            version = ".".join(version.split(".")[:2])
        return _meets(f"{found['sign']}{found['release']}", version) if re.fullmatch(RELEASE, version) else None
    if found := PLATFORM_MARKER.fullmatch(part):
        return bool(COMPARE[found["sign"]](sys.platform, found["name"]))
    return None
