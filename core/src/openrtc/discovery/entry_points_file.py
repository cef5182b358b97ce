"""Reads one `entry_points.txt`, line by line, and says on which line something is wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from openrtc.discovery.entries import AGENTS_GROUP, PLUGINS_GROUP
from openrtc.errors import one_line

GROUPS = (AGENTS_GROUP, PLUGINS_GROUP)
VALUE = re.compile(r"(?P<target>[\w.]+(?:\s*:\s*[\w.]+)?)\s*(?:\[(?P<extras>[^\]]*)\])?")
NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Declaration(NamedTuple):
    """One line of one of our groups.

    Args:
        group: Which group it stands in.
        name: The name; where there is none, the line itself.
        value: ``module:attribute`` or ``module``, without extras.
        extras: Extras that the value names in brackets.
        line: Line number.
        fault: What is wrong with it, else None.
        fix: How to mend that.
    """

    group: str
    name: str
    value: str
    extras: tuple[str, ...]
    line: int
    fault: str | None = None
    fix: str | None = None


def read_declarations(text: str) -> list[Declaration]:
    """Return what ``text`` declares in our groups; names that stand twice in one group are faults."""
    found = [_declaration(group, line, number) for group, line, number in _lines(text)]
    counts = Counter((one.group, one.name) for one in found if one.fault is None)
    return [_twice(one) if counts[one.group, one.name] > 1 else one for one in found]


def name_fault(name: str) -> str | None:
    """Return why ``name`` cannot be an agent's name (it stands in room names and identities), else None."""
    if not name:
        return "the name is empty"
    if len(name) > 128:
        return f"the name has {len(name)} characters, more than 128"
    if not NAME.fullmatch(name):
        return f'"{one_line(name, 60)}" cannot be a name: only letters, digits, "-", "_" and "." can stand in one'
    return None


def _lines(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield group, line and number of each line in our groups."""
    group = ""
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif line and line[0] not in "#;" and _meant(group):
            yield group, line, number


def _meant(group: str) -> str | None:
    """Return our group that ``group`` is, or was most likely meant to be."""
    plain = re.sub(r"[-_]", ".", group.lower()).removesuffix("s")
    return next((known for known in GROUPS if known.removesuffix("s") == plain), None)


def _declaration(group: str, line: str, number: int) -> Declaration:
    name, equals, value = (part.strip() for part in line.partition("="))
    match = VALUE.fullmatch(value)
    target = re.sub(r"\s", "", match["target"]) if match else one_line(value, 120)
    extras = tuple(re.findall(r"[\w.-]+", match["extras"] or "")) if match else ()
    known = _meant(group) or AGENTS_GROUP
    fault, fix = _fault(group, known, name, equals, target)
    return Declaration(known, one_line(name, 120), target, extras, number, fault, fix)


def _fault(group: str, known: str, name: str, equals: str, target: str) -> tuple[str | None, str | None]:
    if group != known:
        return f"stands in the group [{one_line(group, 60)}], which OpenRTC does not read", f"name the group [{known}]"
    if not equals:
        return "the line has no =", "write name = package.module:ClassName"
    if fault := name_fault(name):
        return fault, "rename it, as in my-agent = package.module:ClassName"
    if not target:
        return "nothing stands behind the =", f"write {name} = package.module:ClassName"
    if not _is_target(target):
        return f'"{target}" names no Python object', f"write {name} = package.module:ClassName"
    return None, None


def _is_target(target: str) -> bool:
    module, colon, attribute = target.partition(":")
    parts = module.split(".") + (attribute.split(".") if colon else [])
    return all(part.isidentifier() for part in parts)


def _twice(one: Declaration) -> Declaration:
    fault = f'"{one.name}" is declared more than once in [{one.group}] of this distribution'
    return Declaration(one.group, one.name, one.value, one.extras, one.line, fault, "keep one of them, rename the rest")
