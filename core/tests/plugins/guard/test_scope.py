"""Whatever a package does to the process while it is imported, the process is afterwards what it was."""

from __future__ import annotations

import asyncio
import builtins
import decimal
import gc
import importlib
import json
import locale
import logging
import multiprocessing
import os
import signal
import socket
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.worker_template import worker_template
from openrtc.errors import OpenRTCError
from openrtc.model.status import State
from openrtc.observe import log_guard
from openrtc.plugins.guard.scope import package_scope, refuse_program
from openrtc.posix import read_alarms, read_blocked_signals

if TYPE_CHECKING:
    from conftest import Site

CheckBroken = Callable[..., None]
POLICY = "import asyncio\nclass Policy(asyncio.DefaultEventLoopPolicy): pass\nasyncio.set_event_loop_policy(Policy())"


def read_process() -> dict[str, Any]:
    """Return all that belongs to the process and that a test compares."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "streams": [
            getattr(sys, name) for name in ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
        ],
        "descriptors": [(os.fstat(n).st_dev, os.fstat(n).st_ino, os.get_blocking(n)) for n in range(3)],
        "arguments": (sys.argv, list(sys.argv)),
        "variables": {k: v for k, v in os.environ.items() if k not in ("A_NEW_ONE", "PYTEST_CURRENT_TEST")},
        "environment": os.environ,
        "warnings": (list(warnings.filters), warnings.showwarning, warnings.formatwarning),
        "root": (logging.root.level, logging.root.handlers[:], logging.root.manager.disable, logging.root.filters[:]),
        "loggers": (logging.getLoggerClass(), logging.getLogRecordFactory(), logging.getLogger("openrtc.x").disabled),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "held back": read_blocked_signals(),
        "alarms": read_alarms(),
        "timeout": socket.getdefaulttimeout(),
        "policy": asyncio.get_event_loop_policy(),
        "method": multiprocessing.get_start_method(),
        "decimals": repr(decimal.getcontext()),
        "builtins": {name: value for name, value in vars(builtins).items() if name != "_"},
        "collector": (gc.isenabled(), gc.get_threshold()),
        "limits": (sys.getrecursionlimit(), sys.getswitchinterval()),
        "locale": locale.setlocale(locale.LC_ALL),
        "mask": mask,
        "hooks": (sys.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook, threading.excepthook),
        "exits": (os._exit, os.execv, os.execve),
    }


@pytest.fixture(autouse=True)
def _known_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    left = signal.setitimer(signal.ITIMER_REAL, 0)  # pytest-timeout's
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored in the background
    monkeypatch.setenv("A_KNOWN_ONE", "before")
    monkeypatch.setenv("PATH", os.environ["PATH"])
    logging.getLogger("openrtc.x").disabled = False
    decimal.getcontext().clear_flags()
    importlib.import_module("livekit.agents")  # whose libraries set filters for warnings of their own
    yield
    signal.signal(signal.SIGINT, interrupt)
    signal.setitimer(signal.ITIMER_REAL, *left)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import sys, io\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')", "sys.stdout"),
        ("import sys, io\nsys.stderr = io.TextIOWrapper(sys.stderr.detach(), errors='replace')", "sys.stderr"),
        ("import sys, io\nsys.stdout = io.TextIOWrapper(sys.__stdout__.buffer)", "sys.stdout"),
        ("import sys, io\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer.detach())", "sys.stdout"),
        ("import sys, codecs\nsys.stdout = codecs.getwriter('latin-1')(sys.stdout.buffer)", "sys.stdout"),
        ("import sys\nsys.stdout = None\nsys.stderr = None", "sys.stdout, sys.stderr"),
        ("import sys\ndel sys.stdout", "sys.stdout"),
        ("import sys\nsys.stdout = sys.stderr = open('/dev/null', 'w')", "sys.stdout, sys.stderr"),
        ("import sys\nsys.__stdout__ = None", "sys.__stdout__"),
        (
            (
                "import sys\nclass Colour:\n    def __init__(self, s): self.s = s\n"
                "    def __getattr__(self, n): return getattr(self.s, n)\nsys.stdout = Colour(sys.stdout)"
            ),
            "sys.stdout",
        ),
        ("import os\nos.close(1)", "standard output"),
        ("import os\nos.close(0)\nos.close(2)", "standard input, standard error"),
        ("import os\nos.dup2(os.open('/dev/null', os.O_WRONLY), 2)", "standard error"),
        ("import os, sys\nos.close(sys.stdout.fileno())", "standard error"),
        ("import os\nos.environ['A_KNOWN_ONE'] = 'after'", "the environment variable A_KNOWN_ONE"),
        ("import os\ndel os.environ['A_KNOWN_ONE']", "the environment variable A_KNOWN_ONE"),
        ("import os\nos.environ['PATH'] += ':/somewhere'", "the environment variable PATH"),
        ("import os\nos.environ['LIVEKIT_URL'] = 'ws://elsewhere'", "the environment variable LIVEKIT_URL"),
        (
            "import os\nos.environ.update(OPENRTC_DENY='all', PYTHONPATH='x', LD_PRELOAD='x')",
            "the environment variables LD_PRELOAD, OPENRTC_DENY, PYTHONPATH",
        ),
        ("import os\nos.environ = {}", "os.environ"),
        ("import warnings\nwarnings.simplefilter('error')", "the filters of warnings"),
        ("import warnings\nwarnings.filterwarnings('ignore')", "the filters of warnings"),
        ("import warnings\nwarnings.resetwarnings()", "the filters of warnings"),
        ("import warnings\nwarnings.filters = []", "the filters of warnings"),
        ("import warnings\nwarnings.catch_warnings(record=True).__enter__()", "the filters of warnings"),
        ("import warnings\nwarnings.showwarning = print", "the filters of warnings"),
        ("import logging\nlogging.captureWarnings(True)", "the filters of warnings"),
        (
            "import logging\nlogging.basicConfig(level=10, force=True, format='%(message)s')",
            "the configuration of logging",
        ),
        ("import logging\nlogging.disable(50)", "the configuration of logging"),
        ("import logging\nlogging.getLogger('openrtc').setLevel(99)", "the configuration of logging"),
        ("import logging.config\nlogging.config.dictConfig({'version': 1})", "the configuration of logging"),
        ("import logging\nclass L(logging.Logger): pass\nlogging.setLoggerClass(L)", "the configuration of logging"),
        ("import os\nos.chdir('/')", "the current folder"),
        ("import sys\nsys.path.clear()", "the path of imports"),
        ("import sys\nsys.argv[:] = ['mine', '--flag']\nsys.argv = []", ""),
        ("import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)", "what happens at SIGTERM"),
        ("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)", "what happens at SIGINT"),
        ("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})", "which signals are held back"),
        ("import signal\nsignal.alarm(60)", "alarms"),
        ("import signal\nsignal.setitimer(signal.ITIMER_PROF, 60, 60)", "alarms"),
        ("import socket\nsocket.setdefaulttimeout(0.1)", "the default timeout of sockets"),
        (POLICY, "the policy of event loops"),
        ("import uvloop\nuvloop.install()", "the policy of event loops"),
        ("import multiprocessing\nmultiprocessing.set_start_method('spawn', force=True)", "how processes are started"),
        ("import decimal\ndecimal.getcontext().prec = 3", "the context of decimal numbers"),
        ("import builtins\nbuiltins.print = lambda *_: None", "builtins.print"),
        ("import builtins\ndel builtins.exit", "builtins.exit"),
        ("import gc\ngc.disable() if gc.isenabled() else gc.enable()", "whether garbage is collected"),
        ("import gc\ngc.set_threshold(7)", "when garbage is collected"),
        ("import sys\nsys.setrecursionlimit(100_000)", "the limit of recursion"),
        ("import sys\nsys.setswitchinterval(1)", "the switch interval of threads"),
        ("import locale\nlocale.setlocale(locale.LC_ALL, 'C.UTF-8')", "the locale"),
        ("import os\nos.umask(0)", "the mask of new files"),
        ("import sys\nsys.excepthook = print\nsys.unraisablehook = print", "sys.excepthook, sys.unraisablehook"),
        ("import threading\nthreading.excepthook = print", "threading.excepthook"),
    ],
)
def test_what_a_package_changes_is_put_back_and_told(
    site: Site, caplog: pytest.LogCaptureFixture, agent_source: str, source: str, told: str
) -> None:
    caplog.set_level(logging.INFO)
    before = read_process()
    found = site.agent(f"{source}\n{agent_source}")
    after = read_process()
    assert {name: value for name, value in after.items() if value != before[name]} == {}
    assert found.state is State.READY, found.reason
    lines = [record.getMessage() for record in caplog.records if record.name == "openrtc.plugins"]
    if told:
        (line,) = lines
        file = site.folder / "pkg_a.py"
        assert (
            line == f'pkg-a 1.0 (entry point "helpdesk", {file}) has changed {told}: put back, since it is everybody\'s'
        )
    else:
        assert not lines


def test_what_cannot_be_put_back_is_told_and_the_rest_is_put_back(
    site: Site, caplog: pytest.LogCaptureFixture, agent_source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    site.agent(
        f"import gc, os, socket\nos.chdir('/')\nos.rmdir({str(gone)!r})\nsocket.setdefaulttimeout(1)\n{agent_source}"
    )
    assert socket.getdefaulttimeout() is None
    assert "the current folder has changed, which cannot be put back: FileNotFoundError" in caplog.text
    assert "has changed the default timeout of sockets: put back" in caplog.text


def test_new_variables_and_filters_for_a_librarys_own_warnings_stay(site: Site, agent_source: str) -> None:
    source = """
        import os, warnings
        class Old(DeprecationWarning): pass
        warnings.simplefilter("always", Old)
        warnings.filterwarnings("ignore", message="array size changed")
        warnings.simplefilter("ignore", DeprecationWarning)
        os.environ["A_NEW_ONE"] = "from a .env"
    """
    before = list(warnings.filters)
    try:
        site.agent(f"{textwrap.dedent(source)}\n{agent_source}")
        added = [rule for rule in warnings.filters if rule not in before]
        assert os.environ.pop("A_NEW_ONE") == "from a .env"
        assert [(action, str(category)) for action, _, category, *_ in added] == [
            ("ignore", str(Warning)),
            ("always", "<class 'pkg_a.Old'>"),
        ]
        assert warnings.filters[len(added) :] == before
    finally:
        warnings.filters[:] = before  # type: ignore[index]  # typeshed: a Sequence


def test_an_import_waits_for_no_keys_and_takes_nothing_from_standard_input(
    site: Site, check_broken: CheckBroken
) -> None:
    found = site.agent("import sys\nassert sys.stdin.read() == ''\nname = input('Your name? ')")
    check_broken(found, "EOFError", "pkg-a", "pkg_a.py:3")


def test_a_stream_that_a_package_keeps_works_after_another_one_has_wrapped_it(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    source = """
        import io, sys
        kept = sys.stdout
        sys.stdout = io.TextIOWrapper(sys.stdout.buffer)
        del sys.stdout
        sys.stdout = sys.stderr
        kept.close()
        kept.buffer.close()
        kept.buffer.raw.close()
        from openrtc import hookimpl
        @hookimpl
        def openrtc_shutdown(worker): print("kept, äöü", file=kept)
    """
    plugin: Any = site.plugin(source).target
    gc.collect()
    plugin.openrtc_shutdown(None)
    print("ours")
    out, err = capfd.readouterr()
    assert (out, err) == ("ours\n", "kept, äöü\n")


@pytest.mark.parametrize(
    ("source", "reason", "line"),
    [
        (
            "from livekit.agents import cli, WorkerOptions\ncli.run_app(WorkerOptions(print))",
            r"cli.run_app\(\) starts",
            2,
        ),
        ("from livekit.agents.cli import run_app\nrun_app(None)", r"cli.run_app\(\) starts", 2),
        (
            "import asyncio\nfrom livekit.agents import AgentServer\nserver = AgentServer()\nasyncio.run(server.run())",
            r"AgentServer.run\(\) starts",
            4,
        ),
        ("from openrtc import AgentPool\nAgentPool().run()", r"AgentPool.run\(\) starts", 2),
        ("from openrtc import AgentPool\nAgentPool().run(['dev'])", r"AgentPool.run\(\) starts", 2),
        ("from openrtc.cli.main import main\nmain(['start'])", r"main\(\) starts", 2),
        ("from openrtc.cli.main import program\nprogram()", r"main\(\) starts", 2),
        ("import argparse\np = argparse.ArgumentParser()\np.add_argument('room')\np.parse_args()", r"exit\(2\)", 4),
        ("import click\n@click.command()\ndef main(): pass\nmain()", r"exit\(0\)", 4),
        ("import typer\napp = typer.Typer()\n@app.command()\ndef main(): pass\napp()", r"exit\(0\)", 5),
        ("import unittest\nunittest.main()", "exit", 2),
        ("import os\nos._exit(3)", r"exit\(3\) at import", 2),
        ("import os, sys\nos.execv(sys.executable, ['python'])", r"os.execv\('.*'\) starts", 2),
        ("import os\nos.execlp('true', 'true')", r"os.execv\('.*/true'\) starts", 2),
        pytest.param("import os\nif os.fork(): os._exit(0)", r"exit\(0\) at import", 2, marks=pytest.mark.process),
    ],
)
def test_a_program_within_a_package_is_refused(
    site: Site, check_broken: CheckBroken, monkeypatch: pytest.MonkeyPatch, source: str, reason: str, line: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["openrtc", "start", "--port", "0"])
    check_broken(site.agent(source), reason, 'below if __name__ == "__main__":', f"pkg_a.py:{line}")


def test_arguments_of_openrtc_are_not_a_packages(
    site: Site, agent_source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["openrtc", "start", "--port", "0"])
    found = site.agent(f"import argparse\nassert not vars(argparse.ArgumentParser().parse_args())\n{agent_source}")
    assert found.state is State.READY, found.reason
    assert sys.argv == ["openrtc", "start", "--port", "0"]


def test_programs_start_where_nothing_is_imported() -> None:
    refuse_program("AgentPool.run()")


@pytest.mark.process
def test_a_fork_at_import_leaves_one_process_and_is_told(
    site: Site, caplog: pytest.LogCaptureFixture, agent_source: str, tmp_path: Path
) -> None:
    source = f"import os\nchild = os.fork()\nopen({str(tmp_path)!r} + f'/{{os.getpid()}}', 'w').close()\n"
    found = site.agent(source + agent_source)
    assert found.state is State.READY
    child = sys.modules["pkg_a"].child
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / str(child)).exists()
    assert "pkg-a 1.0" in caplog.text and "it has forked this process" in caplog.text


@pytest.mark.process
def test_a_process_that_a_package_starts_by_itself_ends_as_it_wants(site: Site, agent_source: str) -> None:
    source = "import multiprocessing, os\np = multiprocessing.get_context('fork').Process(target=os._exit, args=(7,))\n"
    found = site.agent(f"{source}p.start()\np.join()\nassert p.exitcode == 7, p.exitcode\n{agent_source}")
    assert found.state is State.READY, found.reason


def test_a_thread_that_a_package_starts_is_told(
    site: Site, caplog: pytest.LogCaptureFixture, agent_source: str
) -> None:
    caplog.set_level(logging.INFO)
    source = "import threading\nover = threading.Event()\nthreading.Thread(target=over.wait, daemon=True).start()\n"
    site.agent(source + agent_source)
    sys.modules["pkg_a"].over.set()
    assert "has started a thread: Thread-" in caplog.text


def test_what_replaces_functions_of_python_is_named(
    site: Site, caplog: pytest.LogCaptureFixture, agent_source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", time.sleep)
    monkeypatch.setattr(socket, "socket", socket.socket)
    green = "import socket, time\ndef patch():\n    def sleep(s): pass\n    class socket_(socket.socket): pass\n"
    site.add("greens", files={"greens.py": f"{green}    time.sleep, socket.socket = sleep, socket_\n"})
    site.agent(f"import greens\ngreens.patch()\n{agent_source}")
    assert "pkg-a 1.0" in caplog.text
    assert "greens has replaced socket.socket, time.sleep for the whole process" in caplog.text


def test_the_worker_log_keeps_its_own_configuration(site: Site, agent_source: str) -> None:
    lines: list[logging.LogRecord] = []
    level, handlers = logging.root.level, logging.root.handlers[:]  # where the worker has its own log, they are left
    log_guard.install(log_guard.WorkerLog(lines.append))
    try:
        site.agent(f"import logging\nlogging.basicConfig(level=10, force=True)\n{agent_source}")
        logging.getLogger("openrtc.x").error("still here")
    finally:
        log_guard.uninstall()
        logging.root.setLevel(level)
        logging.root.handlers[:] = handlers
    assert [record.getMessage() for record in lines] == ["still here"]


def test_a_scope_within_another_changes_nothing() -> None:
    with package_scope(str):
        given = sys.stdout
        with package_scope(str):
            assert sys.stdout is given
        with pytest.raises(OpenRTCError, match="at import"):
            refuse_program("a program")


@pytest.mark.process
def test_the_commands_are_whole_whatever_a_plugin_does(site: Site) -> None:
    hook = "from openrtc import hookimpl\n@hookimpl\ndef openrtc_route(request, agents): return None\n"
    wraps = "import io, os, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nsys.stdin.close()\nos.close(1)\n"
    site.add("wrapper", plugins={"w": "wrapper"}, files={"wrapper.py": wraps + hook})
    runs = "from livekit.agents import cli\ncli.run_app(None)\n"
    site.add("runner", plugins={"r": "runner"}, files={"runner.py": runs + hook})
    run = partial(site.fork, worker_template(), "-m", "openrtc")  # where livekit-agents is imported already
    rows = {row["name"]: row for row in json.loads(run("plugins", "--json", site.only).stdout)["plugins"]}
    assert rows["wrapper:w"]["state"] == "ready"
    assert (rows["runner:r"]["state"], rows["runner:r"]["reason"]) == (
        "broken",
        "cli.run_app() starts a program at import",
    )
    assert run("route", "--room", "x", "--json", site.only).stdout.startswith("{")
