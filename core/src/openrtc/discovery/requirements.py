"""Compares what a distribution requires with what is installed, before anything of it is imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from openrtc.discovery.installed import LONGEST_VERSION
from openrtc.discovery.metadata import Metadata, read_metadata
from openrtc.discovery.metadata_folders import Installed
from openrtc.discovery.plain_requirements import DISTRIBUTION_NAME, is_plainly_met, meets_plainly, python_version
from openrtc.errors import one_line
from openrtc.install_commands import install_command
from openrtc.model.names import NAMESAKE, OWN_DISTRIBUTION, normalise_name
from openrtc.model.status import State, Status

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

Versions = Mapping[str, Installed]

PYTHON = "python"
"""Stands for Python itself among what is required; there is no distribution of this name."""

LONGEST_REQUIREMENT = 1000
"""Characters of a requirement; real ones have up to 300. `packaging` takes quadratic time for some."""
DEEPEST_MARKER = 20
"""Brackets in a requirement; `packaging` reads a marker recursively, and evaluates it so."""
MOST_COMPARISONS = 20_000
"""Requirements of one distribution that are looked at, those of extras in turn too: at worst about a second."""


class RequirementCheck:
    """Compares what one distribution requires with what is installed.

    Args:
        one: The distribution.
        metadata: Its metadata.
        installed: What is installed.
        ignored: What it may require in vain: normalised names of distributions, and `PYTHON`.
        warn: Shows a warning: of what cannot be read, and is left unchecked.
    """

    def __init__(
        self,
        one: Installed,
        metadata: Metadata,
        installed: Versions,
        *,
        ignored: Collection[str] = (),
        warn: Callable[[str], object],
    ) -> None:
        self._one, self._metadata, self._installed = one, metadata, installed
        self._ignored, self._warn = ignored, warn
        self._answers: dict[frozenset[str], Status | None] = {}
        self._warned: set[str] = set()
        self._others: dict[str, Metadata] = {}
        self._comparisons = 0

    def find_mismatch(self, extras: Collection[str] = ()) -> Status | None:
        """Return the first requirement that what is installed does not meet, None where all are met.

        Args:
            extras: Which of its extras are asked for.
        """
        key = frozenset(map(normalise_name, extras))
        if key not in self._answers:
            self._answers[key] = next(self._mismatches(key), None)
        return self._answers[key]

    def _mismatches(self, extras: frozenset[str]) -> Iterator[Status]:
        if self._metadata.requires_python:
            yield from self._compare_python(*self._metadata.requires_python)
        # Two distributions may ask for extras of each other: each extra is looked at once.
        seen: set[tuple[str, str]] = set()
        asked = [("", self._one, self._metadata, extras, 0)]
        for whole, one, metadata, wanted, line_of_asking in asked:
            for text, line in metadata.requires:
                self._comparisons += 1
                if whole and "extra" not in text.partition(";")[2]:
                    continue  # what it always needs is its own affair
                if self._comparisons > MOST_COMPARISONS:
                    self._warn_once(f"more than {MOST_COMPARISONS:,} requirements: the rest is not checked", line)
                    return
                requirement = self._read(text, line if not whole else line_of_asking, wanted)
                if requirement is None:
                    continue
                if status := self._compare(requirement, one, whole, line_of_asking or line):
                    yield status
                asked += self._extras_in_turn(requirement, seen, line_of_asking or line)

    def _read(self, text: str, line: int, extras: frozenset[str]) -> Requirement | None:
        """Return a requirement that has to be compared; None where it is plainly met, not asked for or unreadable."""
        text = " ".join(text.split())
        if text[: len(NAMESAKE)].lower() == NAMESAKE and _is_namesake(text):
            self._warn_once(f"requires {NAMESAKE}, which is somebody else's; ours is {OWN_DISTRIBUTION}", line)
            return None
        excess = _find_excess(text)
        if not excess and is_plainly_met(text, extras, self._installed):
            return None
        from packaging.requirements import InvalidRequirement, Requirement  # see plain_requirements

        try:
            if excess:
                raise ValueError(excess)
            requirement = Requirement(text)
            applies = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in ("", *sorted(extras))
            )
        except (InvalidRequirement, ValueError) as error:
            self._warn_unreadable(f'requirement "{one_line(text, 120)}"', error, line)
            return None
        self._comparisons += len(extras) if requirement.marker else 0
        return requirement if applies else None

    def _compare(self, requirement: Requirement, one: Installed, whole: str, line: int) -> Status | None:
        if normalise_name(requirement.name) in self._ignored:
            return None
        status = compare(requirement, self._installed)
        if status is None:
            return None
        if whole:
            status = replace(status, reason=f"{status.reason} (asked for by {whole})", fix=install_command(whole))
        return replace(status, reason=one_line(status.reason or ""), location=self._place(line))

    def _extras_in_turn(
        self, requirement: Requirement, seen: set[tuple[str, str]], line: int
    ) -> Iterator[tuple[str, Installed, Metadata, frozenset[str], int]]:
        """Yield what the extras that a requirement asks for (``livekit-agents[openai]``) need in turn."""
        key = normalise_name(requirement.name)
        wanted = frozenset(one for one in map(normalise_name, requirement.extras) if (key, one) not in seen)
        seen.update((key, extra) for extra in wanted)
        if wanted and (one := self._installed.get(key)):
            whole = f"{requirement.name}[{','.join(sorted(wanted))}]"
            metadata = self._others[key] = self._others.get(key) or read_metadata(one)
            yield whole, one, metadata, wanted, line

    def _compare_python(self, text: str, line: int) -> Iterator[Status]:
        text = " ".join(text.split())
        if PYTHON in self._ignored or not text:
            return
        version = python_version()
        excess = _find_excess(text)
        if not excess and meets_plainly(text, version):
            return
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            if excess:
                raise ValueError(excess)
            if SpecifierSet(text).contains(version, prereleases=True):
                return
        except (InvalidSpecifier, ValueError) as error:
            self._warn_unreadable(f'Requires-Python "{one_line(text, 120)}"', error, line)
            return
        reason = f"needs Python {one_line(text, 120)}, and this is Python {version}"
        fix = f"use such a Python, or a version of {self._one.name} for this one"
        yield Status(State.INCOMPATIBLE, reason, fix, self._place(line))

    def _warn_unreadable(self, what: str, error: Exception, line: int) -> None:
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        self._warn_once(f"{what} cannot be read and is not checked: {problem}", line)

    def _warn_once(self, problem: str, line: int) -> None:
        text = one_line(f"{self._one.name}: {problem}; its author must fix that, at {self._place(line)}")
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text)

    def _place(self, line: int) -> str:
        return f"{self._one.path_of('METADATA')}:{line}"


def compare(requirement: Requirement, installed: Versions) -> Status | None:
    """Return why what is installed does not meet a requirement, None where it does.

    Args:
        requirement: What is required; its marker and extras are not looked at.
        installed: What is installed.
    """
    needed = f"{requirement.name}{requirement.specifier}"
    one = installed.get(normalise_name(requirement.name))
    fix = install_command(f"{requirement.name} @ {requirement.url}" if requirement.url else needed)
    if one is None:
        return Status(State.INCOMPATIBLE, f"needs {needed}, which is not installed", fix)
    if one.version and meets(requirement.specifier, one.version):
        return None
    version = read_metadata(one).version or one.version  # the folder may be named for another
    if not version or meets(requirement.specifier, version):
        return None
    shown = one_line(version, 60)
    return Status(State.INCOMPATIBLE, f"needs {needed}, and {requirement.name} {shown} is installed", fix)


def meets(specifier: SpecifierSet, version: str) -> bool:
    """Whether a version is among those that are asked for; a pre-release is where it stands in their order.

    Args:
        specifier: Which are asked for.
        version: The version. One that PEP 440 does not know is among none, but where all are asked for.
    """
    from packaging.version import InvalidVersion

    if not specifier:
        return True
    try:
        return len(version) <= LONGEST_VERSION and specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _is_namesake(text: str) -> bool:
    found = re.match(DISTRIBUTION_NAME, text)
    return found is not None and normalise_name(found[0]) == NAMESAKE


def _find_excess(text: str) -> str | None:
    """Return what makes a requirement too much to read, if anything."""
    if len(text) > LONGEST_REQUIREMENT:
        return f"it has more than {LONGEST_REQUIREMENT} characters"
    if text.count("(") > DEEPEST_MARKER:
        return f"it has more than {DEEPEST_MARKER} brackets"
    return None
