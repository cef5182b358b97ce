"""What the code of an agent is seen to write into its modules during a call, and what is no call's state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from openrtc.catalog.catalog import Catalog
from openrtc.plugins import foreign
from openrtc.plugins.load import load
from openrtc.settings.config import Config, WorkerSettings

if TYPE_CHECKING:
    from conftest import Site

HEAD = """
import asyncio, functools, logging, os
from collections import defaultdict
from contextvars import ContextVar
from livekit.agents import Agent, AgentSession, JobContext, function_tool, get_job_context
from opentelemetry import trace

logger = logging.getLogger("desk")
_STATE = {"owner": False}
_CLIENT = None
_CACHE = {}
_TASKS = set()
CALLER = ContextVar("caller")

class Store:
    def __init__(self):
        self.owner = None
    def remember(self, owner):
        self.owner = owner
    def read(self):
        return self.owner
    one = None
    @classmethod
    def get(cls):
        if cls.one is None:
            cls.one = cls()
        return cls.one

STORE = Store()
"""

WRITES = {
    "an item": ("_STATE['owner'] = True", "_STATE"),
    "an item by its local name": ("state = _STATE\n    state['owner'] = True", "_STATE"),
    "a global": ("global _CLIENT\n    _CLIENT = ctx.room", "_CLIENT"),
    "one that the call makes": ("global _NEW\n    _NEW = ctx.room", "_NEW"),
    "a latch": ("global _CLIENT\n    if not _CLIENT:\n        _CLIENT = True", "_CLIENT"),
    "the first call's context": (
        "global _CLIENT\n    if _CLIENT is None:\n        _CLIENT = get_job_context()",
        "_CLIENT",
    ),
    "what is made of the call": ("if 'x' not in _CACHE:\n        _CACHE['x'] = str(ctx.room)", "_CACHE"),
    "a method": ("_STATE.update(owner=True)", "_STATE"),
    "in a function within": ("def told():\n        _TASKS.add(ctx.room)\n    ctx.on('x', told)", "_TASKS"),
    "in a lambda": ("ctx.on('x', lambda: _STATE.clear())", "_STATE"),
    "an attribute": ("STORE.owner = ctx.room", "STORE"),
    "its own object's method": ("STORE.remember(ctx.room)", "STORE"),
    "setattr": ("setattr(STORE, 'owner', True)", "STORE"),
    "globals by a method": ("globals().update(owner=True)", "globals()"),
    "globals": ("globals()['owner'] = True", "globals()"),
    "of a function": ("entrypoint.calls = 1", "entrypoint"),
    "of a class": ("Store.owner = ctx.room", "Store"),
    "the environment": ("os.environ['KEY'] = ctx.job.metadata", "os.environ"),
    "another module": ("import litellm\n    litellm.api_key = ctx.job.metadata", "litellm"),
    "a target of a loop": ("for _STATE['owner'] in (1, 2): pass", "_STATE"),
    "a deletion": ("del _STATE['owner']", "_STATE"),
}

NO_STATE = {
    "a logger": "logger.disabled = True\n    logging.raiseExceptions = bool(ctx)",
    "the one object of a class": "Store.get()",
    "a client": "global _CLIENT\n    if _CLIENT is None:\n        _CLIENT = Store()",
    "a client, by an early return": (
        "global _CLIENT\n    if _CLIENT is not None:\n        return\n    _CLIENT = Store()"
    ),
    "a cache by its key": "key = ctx.room\n    if key not in _CACHE:\n        _CACHE[key] = str(key)",
    "tasks": (
        "task = asyncio.create_task(ctx.connect())\n    _TASKS.add(task)\n    task.add_done_callback(_TASKS.discard)"
    ),
    "a context variable": "CALLER.set(ctx.room)",
    "a name of its own": "_STATE = {}\n    _STATE['owner'] = True",
    "a parameter": "def put(_STATE):\n        _STATE['owner'] = True\n    put({})",
    "what is read": "return _STATE['owner'], STORE.read(), _STATE.get('owner'), _STATE.copy()",
    "an object of its own": "store = Store()\n    store.remember(ctx.room)\n    store.owner = 1",
    "userdata": "ctx.proc.userdata['call'] = ctx.room\n    ctx.log_context_fields = {'room': 1}",
    "a setting for all calls alike": "os.environ['KEY'] = 'x'\n    import litellm\n    litellm.drop_params = True",
    "a tracer provider": "trace.set_tracer_provider(object())",
}


def entry(body: str) -> str:
    return f"{HEAD}\nasync def entrypoint(ctx: JobContext):\n    {body}\n"


def find_notes(site: Site, source: str, value: str = "pkg_a:entrypoint", **files: str) -> tuple[str, ...]:
    names = {"pkg_a.py": source, **{f"{name}.py": text for name, text in files.items()}}
    site.add("pkg-a", agents={"desk": value}, files=names, record=[f"{name},," for name in names])
    (found,) = site.load().agents
    assert found.spec, found.reason
    notes = tuple(note for note in found.notes if " write" in note)
    assert bool(notes) == (found.asked_isolation == "process" or (found.shape == "agent" and bool(notes)))
    return notes


@pytest.mark.parametrize(("body", "name"), WRITES.values(), ids=WRITES.keys())
def test_state_of_a_module_is_seen_where_it_is_written(site: Site, body: str, name: str) -> None:
    (note,) = find_notes(site, entry(body))
    assert note.startswith(f"a process for each call, since it writes {name} at ")
    assert note.partition("pkg_a.py:")[2].isdigit()


@pytest.mark.parametrize("body", NO_STATE.values(), ids=NO_STATE.keys())
def test_what_is_no_calls_state_is_not(site: Site, body: str) -> None:
    assert find_notes(site, entry(body)) == ()


AGENT = """
class Desk(Agent):
    calls = []

    def __init__(self):
        super().__init__(instructions="x")

    @function_tool
    async def verify(self, pin: str) -> str:
        '''Verify the caller.'''
        {}
"""


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("_STATE['owner'] = pin == '1'", "_STATE"),
        ("self.calls.append(pin)", "Desk.calls"),
        ("self.__class__.owner = pin", "Desk.owner"),
        ("type(self).owner = pin", "Desk.owner"),
        ("self.pin = pin; self.session.userdata.pins.append(pin)", ""),
    ],
)
def test_tools_of_the_agent_that_an_entrypoint_starts_are_looked_at(site: Site, body: str, name: str) -> None:
    notes = find_notes(site, HEAD + AGENT.format(body) + entry("await AgentSession().start(Desk())")[len(HEAD) :])
    assert [f" writes {name} at " in note for note in notes] == ([True] if name else [])


TOOLS = """
from livekit.agents import function_tool

IDENTITY = {"owner": False}

def set_owner(value):
    IDENTITY["owner"] = value

@function_tool
async def read_mail() -> str:
    '''Read mail.'''
    return str(IDENTITY)

def never_called():
    global LAST
    LAST = 1

def warm(proc):
    global LAST
    LAST = 1
"""


@pytest.mark.parametrize(
    ("imports", "body", "seen"),
    [
        ("from tools import read_mail, set_owner", "set_owner(True)", "IDENTITY at .*tools.py:7"),
        ("import tools", "tools.set_owner(True)", "IDENTITY at "),
        ("from tools import *", "set_owner(True)", "IDENTITY at "),
        ("from tools import IDENTITY as _who", "_who['owner'] = True", "_who at .*pkg_a.py:"),
        ("", "from tools import set_owner as put\n    put(True)", "IDENTITY at "),
        ("import tools", "AgentSession(tools=tools)", "IDENTITY at .* and 1 more"),
        ("from tools import read_mail, warm as prewarm", "AgentSession(tools=[read_mail])", None),
    ],
)
def test_what_it_imports_of_its_own_distribution_is_looked_at(
    site: Site, imports: str, body: str, seen: str | None
) -> None:
    notes = find_notes(site, f"{imports}\n{entry(body)}", tools=TOOLS)
    assert len(notes) == (seen is not None)
    assert all(re.search(str(seen), note) for note in notes), notes


def test_a_tool_in_a_list_of_the_module_and_a_callback_at_the_end_are_looked_at(site: Site) -> None:
    source = f"""{HEAD}
from livekit.agents import AgentServer

def tool():
    _STATE["x"] = 1

async def end(ctx):
    _TASKS.clear()

TOOLS = [tool]
server = AgentServer()

@server.rtc_session(on_session_end=end)
async def run(ctx: JobContext):
    AgentSession(tools=TOOLS)
"""
    (note,) = find_notes(site, source, "pkg_a:server")
    assert re.search("_(STATE|TASKS) at .* and 1 more$", note)


@pytest.mark.parametrize(
    ("setting", "isolation", "source", "expected", "note"),
    [
        ("auto", {}, "_STATE['x'] = 1", "process", "a process for each call"),
        ("shared", {}, "_STATE['x'] = 1", "coroutine", 'share what they write: .*; \\[isolation\\] desk = "process"'),
        ("process", {}, "_STATE['x'] = 1", "process", None),
        ("process", {}, "await ctx.connect()", "process", None),
        ("auto", {}, "await ctx.connect()", "coroutine", None),
        ("auto", {"desk": "coroutine"}, "_STATE['x'] = 1", "coroutine", "share what they write"),
        ("auto", {"desk": "process"}, "_STATE['x'] = 1", "process", None),
    ],
)
def test_the_operator_says_how_entrypoints_run(
    site: Site, setting: str, isolation: dict[str, str], source: str, expected: str, note: str | None
) -> None:
    site.add("pkg-a", agents={"desk": "pkg_a:entrypoint"}, files={"pkg_a.py": entry(source)})
    config = Config(worker=WorkerSettings(foreign=setting), isolation=isolation)
    loaded = load(site.entries(), config)
    assert Catalog.of(loaded).isolation("desk", config) == expected
    notes = loaded.agents[0].notes
    assert len(notes) == (note is not None)
    assert all(re.search(str(note), one) for one in notes), notes


@pytest.mark.parametrize(
    "says",
    ["entrypoint.openrtc_isolation = 'coroutine'", "openrtc_isolation = 'coroutine'"],
    ids=["function", "module"],
)
def test_its_author_says_that_calls_may_share_it(site: Site, says: str) -> None:
    source = f"{entry('_STATE[ctx.room.name] = 1')}\n{says}\n"
    site.add("pkg-a", agents={"desk": "pkg_a:entrypoint"}, files={"pkg_a.py": source})
    (found,) = site.load().agents
    assert (found.asked_isolation, found.notes) == ("coroutine", ())
    (found,) = load(site.entries(), Config(worker=WorkerSettings(foreign="process"))).agents
    assert found.asked_isolation == "process", "the operator gives more than it asks for"


@pytest.mark.parametrize(("changes", "isolation"), [(None, ""), ("it has changed", "process")])
def test_a_tracer_provider_is_told_of_and_takes_a_process_where_it_would_be_for_all_calls(
    site: Site, monkeypatch: pytest.MonkeyPatch, changes: str | None, isolation: str
) -> None:
    monkeypatch.setattr(foreign, "describe_changes", lambda part: changes)
    found = site.agent(entry(NO_STATE["a tracer provider"]), "pkg_a:entrypoint")
    assert found.asked_isolation == isolation
    (note,) = found.notes
    assert "set_tracer_provider() at " in note
    assert note.endswith(" is each call's own here") == (changes is None)


def test_a_source_that_cannot_be_looked_at_is_a_line(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RecursionError("too many terms")

    monkeypatch.setattr(foreign, "find_module_state", fail)
    found = site.agent(entry("_STATE['owner'] = True"), "pkg_a:entrypoint")
    assert found.spec, found.reason
    (line,) = caplog.messages
    assert line.startswith("agent 'helpdesk': it cannot be told what it writes into its modules (RecursionError: too")


def test_a_wrong_isolation_of_a_module_is_one_line(site: Site) -> None:
    found = site.agent(f"{entry('await ctx.connect()')}\nopenrtc_isolation = 'proces'\n", "pkg_a:entrypoint")
    assert found.reason == "isolation='proces'"
    assert "process" in (found.fix or "")


def test_a_class_is_told_of_and_shares_as_before(site: Site) -> None:
    (note,) = find_notes(site, HEAD + AGENT.format("_STATE['owner'] = True"), "pkg_a:Desk")
    assert note.startswith("its calls share what they write: _STATE at ")
