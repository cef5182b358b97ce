"""Reads one `entry_points.txt`, line by line, and says on which line something is wrong.

Not by `importlib_metadata`'s parser: one malformed line makes it raise for the whole file, without a line number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from openrtc.discovery.entries import AGENTS_GROUP, COMMANDS_GROUP, PLUGINS_GROUP
from openrtc.discovery.metadata import LARGEST_FILE
from openrtc.errors import one_line
from openrtc.model.names import find_name_fault
from openrtc.model.status import INSTALLED, State, Status

GROUPS = (AGENTS_GROUP, PLUGINS_GROUP, COMMANDS_GROUP)
MOST_DECLARATIONS = 1000
"""Agents and plugins of one distribution. Each is a row of every list, and is imported."""
LONGEST_DECLARATION = 1000
"""Characters of a line; real ones have up to 200."""

VALUE = re.compile(r"(?P<target>[\w.-]+(?:\s*:\s*[\w.]+)?)\s*(?:\[(?P<extras>[^\]]*)\])?")


class Declaration(NamedTuple):
    """One line of one of our groups.

    Args:
        group: Which group it is in.
        name: The name; where there is none, the line itself.
        value: ``module:attribute`` or ``module``, without extras.
        extras: Extras that the value names in brackets.
        status: What is wrong with the line, if anything.
    """

    group: str
    name: str
    value: str
    extras: tuple[str, ...] = ()
    status: Status = INSTALLED


def read_declarations(text: str, file: str, distribution: str) -> list[Declaration]:
    """Return what ``text`` declares in our groups; names that are given twice in one group are faults.

    Args:
        text: The content of the file.
        file: Its path, for the location of a fault.
        distribution: The distribution's name, which stands for all that it declares where that is too much.
    """
    lines = list(islice(_lines_of_groups(text), MOST_DECLARATIONS + 1))
    if len(lines) > MOST_DECLARATIONS or len(text.encode()) > LARGEST_FILE:
        excess = f"{MOST_DECLARATIONS:,} agents" if len(lines) > MOST_DECLARATIONS else f"{LARGEST_FILE:,} bytes"
        group = lines[0][1] if lines else AGENTS_GROUP
        fault = (f"{file.rpartition('/')[2]} has more than {excess}", "its author must make several packages of it")
        return [Declaration(group, distribution, "", status=Status(State.BROKEN, *fault, f"{file}:1"))]
    found = [_read_line(group, known, line, f"{file}:{number}") for group, known, line, number in lines]
    counts = Counter((one.group, one.name) for one, _ in found if one.status.usable)
    return [_mark_duplicate(one, place) if counts[one.group, one.name] > 1 else one for one, place in found]


def _lines_of_groups(text: str) -> Iterator[tuple[str, str, str, int]]:
    """Yield group, our group that it is or was meant to be, line and number of each line in our groups."""
    group, known = "", None
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
            known = _closest_group(group)
        elif line and line[0] not in "#;" and known:
            yield group, known, line, number


def _closest_group(group: str) -> str | None:
    """Return our group that ``group`` is, or was most likely meant to be."""
    if len(group) > LONGEST_DECLARATION:
        return None
    plain = re.sub(r"[-_]", ".", group.lower()).removesuffix("s")
    return next((known for known in GROUPS if known.removesuffix("s") == plain), None)


def _read_line(group: str, known: str, line: str, place: str) -> tuple[Declaration, str]:
    name, equals, value = (part.strip() for part in line.partition("="))
    match = VALUE.fullmatch(value) if len(line) <= LONGEST_DECLARATION else None
    target = re.sub(r"\s", "", match["target"]) if match else one_line(value, 120)
    extras = tuple(re.findall(r"[\w.-]+", match["extras"] or "")) if match else ()
    fault = _find_fault(group, known, name, equals, target)
    status = Status(State.BROKEN, *fault, place) if fault else INSTALLED
    return Declaration(known, one_line(name, 120), target, extras, status), place


def _find_fault(group: str, known: str, name: str, equals: str, target: str) -> tuple[str, str] | None:
    """Return what is wrong with a line and how to fix it."""
    example = "package.module:main" if known == COMMANDS_GROUP else "package.module:ClassName"
    if group != known:
        return f"is in the group [{one_line(group, 60)}], which OpenRTC does not read", f"name the group [{known}]"
    if not equals:
        return "the line has no =", f"write name = {example}"
    if fault := find_name_fault(name):
        return fault, f"rename it, as in my-{'command' if known == COMMANDS_GROUP else 'agent'} = {example}"
    if not target:
        return "there is no value after =", f"write {name} = {example}"
    if not _is_target(target):
        return f'"{target}" names no Python object', f"write {name} = {example}"
    return None


def _is_target(target: str) -> bool:
    module, colon, attribute = target.partition(":")
    # A file may have a hyphen in its name: no import statement can name it, and everything else can.
    parts = module.replace("-", "_").split(".") + (attribute.split(".") if colon else [])
    return all(part.isidentifier() for part in parts)


def _mark_duplicate(one: Declaration, place: str) -> Declaration:
    reason = f'"{one.name}" is declared more than once in [{one.group}] of this distribution'
    return one._replace(status=Status(State.BROKEN, reason, "keep one of them, rename the rest", place))
