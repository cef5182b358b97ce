"""The constraints files: the versions that the distributions, the tests and the tools are installed with."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import nox
from packages import ROOT, distributions, project
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PINS = "constraints.txt"
LOWEST_PINS = "constraints-minimums.txt"
BUILD_PINS = "constraints-build.txt"
# Given as variables, because installers that are too old for them leave them alone.
BUILD_ENV = dict.fromkeys(["PIP_BUILD_CONSTRAINT", "UV_BUILD_CONSTRAINT"], str(ROOT / BUILD_PINS))
EXPLAINED = {
    PINS: "the newest versions, of everything that the packages and the tests need",
    LOWEST_PINS: "the lowest versions that the packages allow, and the newest of what those need",
    BUILD_PINS: "what builds the wheels",
}
OLDEST_PYTHON = "3.11"
PINNED_WHERE = {"pocketsphinx": 'python_version != "3.12"'}
"""Where a pin holds, if not everywhere: that version has no wheel for Python 3.12, while an older one has."""
NO_VERSION = Version("0.dev0")


def requirements() -> Iterator[Requirement]:
    """Return what the distributions ask for on the oldest Python, which the pins are for, except each other."""
    here = {"python_version": OLDEST_PYTHON}
    tables = [project(folder) for folder in distributions()]
    own = {canonicalize_name(table["name"]) for table in tables}
    for table in tables:
        extras = table.get("optional-dependencies", {}).values()
        for text in chain(table.get("dependencies", []), *extras):
            asked = Requirement(text)
            if key(asked) not in own and (asked.marker is None or asked.marker.evaluate(here)):
                yield asked


def lower_bounds() -> dict[str, Version]:
    """Return the lowest version that all distributions together allow, by name."""
    lowest: dict[str, Version] = {}
    for asked in requirements():
        name = key(asked)
        bounds = [Version(bound.version) for bound in asked.specifier if bound.operator in (">=", "==")]
        lowest[name] = max([*bounds, lowest.get(name, Version("0"))])
    return lowest


def read_pins(file: str) -> dict[str, Version]:
    """Return the versions that a constraints file names."""
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    pins = (line.partition(";")[0].split("==") for line in lines)
    return {canonicalize_name(name): Version(version.strip()) for name, version in pins}


def check_pins(session: nox.Session) -> None:
    """End the session with one line where a constraints file does not say what the packages ask for."""
    newest, lowest = read_pins(PINS), read_pins(LOWEST_PINS)
    wrong = {asked.name for asked in requirements() if not asked.specifier.contains(newest.get(key(asked), NO_VERSION))}
    wrong |= {name for name, bound in lower_bounds().items() if lowest.get(name) != bound}
    if wrong:
        session.error(f"the constraints files do not fit {', '.join(sorted(wrong))}: run nox -s pins")


def key(asked: Requirement) -> str:
    """Return the normalised name of a requirement."""
    return canonicalize_name(asked.name)


def write_pins(session: nox.Session, file: str, wanted: list[str]) -> None:
    """Resolve for the oldest Python and write the versions, without addresses and hashes."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder) / "asked.txt", Path(folder) / "answer.txt"
        asked.write_text("\n".join(str(ROOT / line) if line.startswith("./") else line for line in wanted))
        if "--keep" in session.posargs:  # the resolver prefers the versions that it finds in its output file
            shutil.copy(ROOT / file, answer)
        plain = ["--quiet", "--no-header", "--no-annotate", f"--python-version={OLDEST_PYTHON}"]
        session.run("uv", "pip", "compile", *plain, "--output-file", str(answer), str(asked))
        lines = [line for line in answer.read_text().splitlines() if re.fullmatch(r"[\w.-]+==\S+", line)]
    lines = [f"{line}; {where}" if (where := PINNED_WHERE.get(line.partition("==")[0])) else line for line in lines]
    (ROOT / file).write_text("\n".join([f"# Written by nox -s pins: {EXPLAINED[file]}.", *lines, ""]))
