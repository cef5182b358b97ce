"""Compares releases of livekit-agents with what OpenRTC knows of them: `nox -s livekit`, see docs/upgrading.md.

Without a version, all releases of the list are looked at, as CI does. With one, everything is printed that a maintainer
has to look at to allow that release. Nothing is installed or imported: sources are read from wheels.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from openrtc.upstream.digest import compute_digests, find_definitions, is_known
from openrtc.upstream.known_code import ABSENT, DIGESTS, RELEASES, USED_BY

AGENTS, RTC = "livekit-agents", "livekit"
"""The distributions that have what OpenRTC uses; each release of the first asks for one of the second."""
TESTS = Path(__file__).parents[1] / "core" / "tests"
FETCHES_AT_ONCE = 4


class Unavailable(Exception):
    """A wheel, or the list of releases, cannot be had."""


class Release:
    """What a release of livekit-agents and its release of livekit have.

    Args:
        version: Its version.
        folder: Where wheels are kept.

    Raises:
        Unavailable: A wheel cannot be had.
    """

    def __init__(self, version: str, folder: Path) -> None:
        self.version = version
        self._wheels = [zipfile.ZipFile(fetch(AGENTS, version, folder))]
        self._wheels.append(zipfile.ZipFile(fetch(RTC, self._read_rtc_version(), folder)))

    def read(self, module: str) -> str | None:
        """Return the source of a module, None where there is none."""
        path = module.replace(".", "/")
        for wheel in self._wheels:
            for file in (f"{path}.py", f"{path}/__init__.py"):
                if file in wheel.namelist():
                    return wheel.read(file).decode()
        return None

    def find_changes(self) -> dict[str, str]:
        """Return the names of what OpenRTC does not know, with their digests."""
        digests = {
            f"{module}:{path}": digest
            for module, known in DIGESTS.items()
            for path, digest in compute_digests(self.read(module), known).items()
        }
        return {name: digest for name, digest in digests.items() if not is_known(name, digest)}

    def show(self, name: str) -> list[str]:
        """Return the lines of what a name stands for, without comments; none where it is gone."""
        module, _, path = name.partition(":")
        body = ast.parse(self.read(module) or "").body
        return "\n".join(map(ast.unparse, find_definitions(body, path) if path else body)).splitlines()

    def find_elsewhere(self, name: str) -> list[str]:
        """Return where a function or class of that name, private or not, is defined in livekit-agents."""
        bare = name.partition(":")[2].rpartition(".")[2].lstrip("_")
        if bare.endswith("__"):
            return []  # every class may have one
        found: list[str] = []
        for file in self._wheels[0].namelist():
            if file.endswith(".py") and file.startswith("livekit/"):
                source = self._wheels[0].read(file).decode()
                if bare in source:  # to parse all of them takes seconds
                    paths = [
                        one for one in _list_definitions(ast.parse(source)) if one.split(".")[-1].lstrip("_") == bare
                    ]
                    found += [f"{file.removesuffix('.py').replace('/', '.')}:{one}" for one in dict.fromkeys(paths)]
        return found

    def _read_rtc_version(self) -> str:
        (file,) = (name for name in self._wheels[0].namelist() if name.endswith(".dist-info/METADATA"))
        found = re.search(rf"^Requires-Dist: {RTC}==([\w.]+)", self._wheels[0].read(file).decode(), re.MULTILINE)
        if found is None:
            raise Unavailable(f"{AGENTS} {self.version} asks for no single release of {RTC}")
        return found[1]


def _list_definitions(node: ast.AST, inside: str = "") -> Iterator[str]:
    """Yield the paths of all functions and classes, as in ``Class.function``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{inside}{child.name}"
            yield from _list_definitions(child, f"{inside}{child.name}.")
        else:
            yield from _list_definitions(child, inside)


def fetch(distribution: str, version: str, folder: Path) -> Path:
    """Return the wheel of a release, downloaded where it is not in the folder yet; for whichever platform.

    Raises:
        Unavailable: It cannot be had.
    """
    pattern = f"{distribution.replace('-', '_')}-{version}-*.whl"
    if not any(folder.glob(pattern)):
        command = ["download", "--quiet", "--retries=2", "--no-deps", "--only-binary=:all:", f"--dest={folder}"]
        run_pip(*command, f"{distribution}=={version}")
    return next(folder.glob(pattern))


def list_index() -> list[str]:
    """Return all releases that the index has, the newest first.

    Raises:
        Unavailable: It does not answer.
    """
    versions: list[str] = json.loads(run_pip("index", "versions", "--retries=2", AGENTS, "--pre", "--json"))["versions"]
    return versions


def run_pip(*arguments: str) -> str:
    """Run pip, and return what it prints.

    Raises:
        Unavailable: It fails.
    """
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    return done.stdout


def check_all(folder: Path) -> int:
    """Look at all releases of the list, and name those that the index has beside it; return how many are not known."""
    with ThreadPoolExecutor(FETCHES_AT_ONCE) as threads:
        for version in RELEASES:
            threads.submit(fetch, AGENTS, version, folder)  # what cannot be had is said below
    wrong = sum(_check(version, folder) for version in RELEASES)
    try:
        newer = [version for version in list_index() if version not in RELEASES and _is_later(version, RELEASES[0])]
    except Unavailable as error:
        print(f"the index cannot be asked for newer releases: {error}")
        return wrong
    for version in newer:
        print(f"{AGENTS} {version} is not in the list yet: nox -s livekit -- {version}")
    return wrong


def _check(version: str, folder: Path) -> bool:
    try:
        changes = Release(version, folder).find_changes()
    except Unavailable as error:
        print(f"{AGENTS} {version} cannot be had: {error}")
        return True
    print(f"{AGENTS} {version}: {', '.join(changes)} not known" if changes else f"{AGENTS} {version}: known")
    return bool(changes)


def _is_later(version: str, other: str) -> bool:
    numbers = [[int(part) for part in re.findall(r"\d+", text)[:3]] for text in (version, other)]
    return numbers[0] > numbers[1]


def report(version: str, folder: Path) -> Iterator[str]:
    """Yield what a maintainer has to look at to allow a release.

    Raises:
        Unavailable: A wheel cannot be had.
    """
    known, new = Release(RELEASES[-1], folder), Release(version, folder)
    changes = new.find_changes()
    yield f"{AGENTS} {version}, compared with {known.version}: {len(changes)} changes"
    for name, digest in changes.items():
        parts = [part for part, names in USED_BY.items() if name in names]
        before = known.show(name)
        what = "is gone" if digest == ABSENT else f"{'has changed' if before else 'is new'}: {digest}"
        yield f"\n{name} {what} (for {', '.join(parts)})"
        if digest == ABSENT:
            found = new.find_elsewhere(name)
            yield f"  of that name there is {', '.join(found[:6])}" if found else "  nothing has that name"
        else:
            lines = difflib.unified_diff(before, new.show(name), known.version, version, lineterm="")
            yield from (f"  {line}" for line in lines)
    touched = sorted({part for part, names in USED_BY.items() if not changes.keys().isdisjoint(names)})
    yield f"\nparts that are off with it: {', '.join(touched) or 'none'}"
    yield "contract tests, with it installed: nox -s unit -- " + " ".join(_list_tests(touched))


def _list_tests(parts: list[str]) -> Iterator[str]:
    yield "core/tests/upstream"
    for part in parts:
        if (TESTS / "speedups" / f"test_{part}.py").exists():
            yield f"core/tests/speedups/test_{part}.py"


def main() -> int:
    """Run the program: 1 where a release of the list is not known or cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="?", help="a release; without it, all of the list are looked at")
    parser.add_argument("--wheels", type=Path, required=True, metavar="FOLDER", help="where wheels are kept")
    args = parser.parse_args()
    args.wheels.mkdir(parents=True, exist_ok=True)
    if args.version is None:
        return 1 if check_all(args.wheels) else 0
    try:
        for line in report(args.version, args.wheels):
            print(line)
    except Unavailable as error:
        print(f"{AGENTS} {args.version} cannot be compared: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
