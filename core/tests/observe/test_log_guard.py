from __future__ import annotations

import logging
import logging.config
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openrtc.observe import log_guard, package_code
from openrtc.observe.log_guard import WorkerLog
from openrtc.observe.logs import TextLines, set_levels

HEAD = "import io, logging, logging.config, sys\n"
CONFIG = "logging.config.dictConfig({'version': 1, 'root': {'level': 'CRITICAL', 'handlers': []}})"
EVERYTHING = """
logging.disable(logging.CRITICAL)
logging.getLogger().handlers.clear()
logging.getLogger().setLevel(logging.CRITICAL)
for name in list(logging.root.manager.loggerDict):
    one = logging.getLogger(name)
    one.setLevel(logging.CRITICAL)
    one.disabled = True
    one.propagate = False
    one.handlers.clear()
    one.filters.clear()
    one.addFilter(lambda record: False)
"""
MUTES = {
    "dictConfig": CONFIG,
    "dictConfig that keeps loggers": CONFIG.replace("1, ", "1, 'disable_existing_loggers': False, "),
    "handlers.clear": "logging.getLogger().handlers.clear()",
    "handlers replaced": "logging.getLogger().handlers = []",
    "removeHandler": "[logging.getLogger().removeHandler(one) for one in logging.getLogger().handlers[:]]",
    "basicConfig": "logging.basicConfig(force=True, level=logging.CRITICAL, stream=io.StringIO())",
    "disable": "logging.disable(logging.CRITICAL)",
    "setLevel": "logging.getLogger().setLevel(60); logging.getLogger('openrtc').setLevel(60)",
    "level": "logging.getLogger('openrtc.worker').level = 60; logging.getLogger('livekit').level = 60",
    "shutdown": "logging.shutdown()",
    "formatter": "[one.setFormatter(logging.Formatter('mine %(message)s')) for one in logging.getLogger().handlers]",
    "handler's level": "[one.setLevel(60) for one in logging.getLogger().handlers]",
    "handler's filter": "[one.addFilter(lambda record: False) for one in logging.getLogger().handlers]",
    "handler's filters": "[one.filters.append(lambda record: False) for one in logging.getLogger().handlers]",
    "raising filter": "[one.addFilter(lambda record: 1 / 0) for one in (*logging.getLogger().handlers, logging.root)]",
    "level's name": "logging.addLevelName(logging.WARNING, 'mine')",
    "propagate": "logging.getLogger('openrtc').propagate = False; logging.getLogger('livekit').propagate = False",
    "record factory": "logging.setLogRecordFactory(lambda *a, **k: logging.makeLogRecord({'msg': 'mine'}))",
    "raising factory": "logging.setLogRecordFactory(lambda *a, **k: 1 / 0)",
    "raising handler": """
class Raising(logging.Handler):
    def emit(self, record): 1 / 0
logging.getLogger('openrtc').addHandler(Raising())
""",
    "everything": EVERYTHING,
}


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What the worker's log writes."""
    root, written = logging.getLogger(), list[str]()
    before = (root.handlers[:], root.level)
    known = {
        one: (one.level, one.disabled, one.propagate, one.filters[:], one.handlers[:])
        for one in logging.root.manager.loggerDict.values()
        if isinstance(one, logging.Logger)
    }
    factory, format_line = logging.getLogRecordFactory(), TextLines().format
    log_guard.install(WorkerLog(lambda record: written.append(format_line(record)[9:])))
    set_levels("info")
    yield written
    log_guard.uninstall()
    logging.setLogRecordFactory(factory)
    logging.disable(logging.NOTSET)
    logging.addLevelName(logging.WARNING, "WARNING")
    root.handlers[:], root.filters[:] = before[0], []
    root.setLevel(before[1])
    for one in logging.root.manager.loggerDict.values():
        if isinstance(one, logging.Logger):
            level, one.disabled, one.propagate, filters, handlers = known.get(one, (0, False, True, (), ()))
            one.filters[:], one.handlers[:] = filters, handlers
            one.setLevel(level)
    package_code.forget_packages()
    log_guard._own_values.clear()
    log_guard._reported.clear()


def reattach_only() -> None:
    log = log_guard.current_log()
    assert log
    logging.getLogger().handlers[:] = [log]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str, str], types.ModuleType]]:
    """Run code as the module of a package."""
    made: list[str] = []

    def one(package: str, code: str) -> types.ModuleType:
        package_code.note_packages([package])
        path = tmp_path / f"{package}.py"
        path.write_text(HEAD + code)
        module = types.ModuleType(package)
        module.__file__ = str(path)
        sys.modules[package] = module
        made.append(package)
        reattach_only()  # or the code below would change pytest's handlers as well
        exec(compile(path.read_text(), path, "exec"), vars(module))
        return module

    yield one
    for name in made:
        del sys.modules[name]


RunAs = Callable[[str, str], types.ModuleType]


@pytest.mark.parametrize("mute", MUTES.values(), ids=MUTES)
def test_nothing_that_an_agent_does_to_logging_mutes_or_changes_the_lines_of_others(
    mute: str, lines: list[str], run: RunAs
) -> None:
    other = run("pkg_b", "log = logging.getLogger('pkg_b.flow')\nown = logging.getLogger('desk-of-b')")
    run("pkg_a", mute)
    lines[:] = []
    logging.getLogger("openrtc.worker").info("started %s", "well")
    logging.getLogger("livekit.agents").warning("a warning")
    other.log.info("of another")
    other.own.info("of another name")
    logging.getLogger().warning("of the root")
    logging.getLogger("new_library").warning("of a new one")
    told = [line for line in lines if line.startswith("WARNING openrtc.observe:")]
    assert [line for line in lines if line not in told] == [
        "INFO    openrtc.worker: started well",
        "WARNING livekit.agents: a warning",
        "INFO    pkg_b.flow: of another",
        "INFO    desk-of-b: of another name",
        "WARNING root: of the root",
        "WARNING new_library: of a new one",
    ]
    assert all("pkg_a" in line and "ZeroDivisionError" in line for line in told) and len(told) <= 1


def test_an_agent_still_configures_its_own_loggers(lines: list[str], run: RunAs) -> None:
    module = run(
        "pkg_a",
        """
log, quiet = logging.getLogger('pkg_a'), logging.getLogger('pkg_a.quiet')
own = io.StringIO()
handler = logging.StreamHandler(own)
handler.setFormatter(logging.Formatter('mine %(levelname)s %(message)s'))
log.addHandler(handler)
log.setLevel(logging.DEBUG)
quiet.setLevel(logging.ERROR)
private = logging.getLogger('pkg_a.private')
private.propagate = False
private.addHandler(handler)
logging.getLogger('a_library').setLevel(logging.ERROR)
""",
    )
    module.log.debug("a detail")
    module.quiet.info("too quiet")
    module.private.info("only for me")
    logging.getLogger("a_library").warning("too quiet, too")
    assert module.own.getvalue().splitlines() == ["mine DEBUG a detail", "mine INFO only for me"]
    assert lines == ["DEBUG   pkg_a: a detail"]


def test_an_agents_handler_on_the_root_logger_gets_its_own_lines_only(lines: list[str], run: RunAs) -> None:
    module = run(
        "pkg_a",
        """
own = io.StringIO()
logging.basicConfig(force=True, stream=own, format='mine %(message)s', level=logging.INFO)
log = logging.getLogger('pkg_a.flow')
def speak():
    log.info('hello')
    logging.info('by the root')
""",
    )
    module.speak()
    logging.getLogger("openrtc.worker").info("of the worker")
    logging.getLogger("livekit.agents").info("of livekit")
    logging.getLogger("httpx2").info("of a library, in nobody's call")
    package_code.use_current_packages(lambda: {"pkg_a"})
    logging.getLogger("httpx2").info("of a library, in its call")
    package_code.use_current_packages(lambda: {"pkg_b"})
    logging.getLogger("httpx2").info("of a library, in another's call")
    assert module.own.getvalue().splitlines() == ["mine hello", "mine by the root", "mine of a library, in its call"]
    assert len(lines) == 7, "the worker's log has them all"


def test_a_plugins_handler_ships_every_line_but_prints_none_twice(lines: list[str], run: RunAs) -> None:
    package_code.note_packages(["pkg_p"], plugins=True)
    code = """
shipped = []
class Ship(logging.Handler):
    def emit(self, record): shipped.append(record.getMessage())
logging.getLogger().addHandler(Ship())
logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))
"""
    package_code.note_packages(["pkg_p"], plugins=True)
    module = types.ModuleType("pkg_p")
    exec(HEAD + code, vars(module))
    logging.getLogger("openrtc.worker").info("of the worker")
    assert module.shipped == ["of the worker"] and len(lines) == 1


def test_a_filter_for_its_own_lines_is_asked_about_these_only(lines: list[str], run: RunAs) -> None:
    module = run(
        "pkg_a",
        """
def hide(record):
    record.msg = record.msg.replace('4711', '****')
    return True
for handler in logging.getLogger().handlers:
    handler.addFilter(hide)
log = logging.getLogger('pkg_a')
""",
    )
    module.log.info("the pin is 4711")
    logging.getLogger("openrtc.worker").info("room 4711")
    assert lines == ["INFO    pkg_a: the pin is ****", "INFO    openrtc.worker: room 4711"]


@pytest.mark.parametrize("change", ["setLevel(60)", "addFilter(lambda record: False)", "setLevel(10)"])
def test_what_an_agent_sets_for_a_library_counts_in_its_own_calls(change: str, lines: list[str], run: RunAs) -> None:
    library = logging.getLogger(f"library_{len(change)}")
    run("pkg_a", f"logging.getLogger({library.name!r}).{change}")
    for package in ("pkg_a", "pkg_b", ""):
        package_code.use_current_packages({package}.copy)
        library.warning("warning %r", package)
        library.debug("debug %r", package)
    others = ["warning 'pkg_b'", "warning ''"]
    own = ["warning 'pkg_a'", "debug 'pkg_a'"] if change == "setLevel(10)" else []
    assert [line.partition(": ")[2] for line in lines] == own + others


def test_what_a_library_or_the_operator_sets_counts(lines: list[str], run: RunAs) -> None:
    run("pkg_a", "")
    logging.getLogger("openrtc").setLevel(logging.ERROR)  # by this module, which is no package of an agent
    logging.getLogger("openrtc.worker").warning("too quiet")
    logging.getLogger("openrtc").setLevel(logging.DEBUG)
    logging.getLogger("openrtc.worker").debug("a detail")
    assert lines == ["DEBUG   openrtc.worker: a detail"]


def test_a_line_that_cannot_be_formatted_is_a_line(lines: list[str]) -> None:
    class Nameless:
        def __str__(self) -> str:
            raise RuntimeError("no name")

    from openrtc.observe.logs import LogLines

    log = LogLines(TextLines())
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "%d of %s", "args": (1, Nameless())})
    assert "'%d of %s' cannot be formatted: RuntimeError('no name')" in log._format(record)


def test_the_log_is_where_livekit_agents_looks_for_it_again(lines: list[str], run: RunAs) -> None:
    run("pkg_a", "logging.getLogger().handlers.clear()")
    log_guard.reattach()
    assert logging.getLogger().handlers == [log_guard.current_log()]


def test_a_record_from_a_job_process_is_written_once(lines: list[str]) -> None:
    record = logging.makeLogRecord({"name": "openrtc.worker", "levelno": 20, "levelname": "INFO", "msg": "there"})
    logging.getLogger("openrtc.worker").callHandlers(record)
    logging.getLogger("openrtc.worker").callHandlers(record)
    assert lines == ["INFO    openrtc.worker: there"]


def test_no_package_closes_what_takes_the_lines_of_a_job_process_to_the_worker(lines: list[str], run: RunAs) -> None:
    class Forwarder(logging.Handler):
        closed = False

        def close(self) -> None:
            self.closed = True
            super().close()

    forwarder = Forwarder()
    log_guard.keep_open(forwarder)
    run("pkg_a", "logging.shutdown()\n" + CONFIG)
    assert not forwarder.closed
    forwarder.close()
    assert forwarder.closed
