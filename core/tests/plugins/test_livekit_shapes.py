"""Entry points that point at what livekit-agents' own examples have: a function, an `AgentServer`, `WorkerOptions`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from openrtc.model.status import State

if TYPE_CHECKING:
    from conftest import Site
    from openrtc.catalog.loaded import LoadedAgent

SERVER = """
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobProcess, JobRequest, cli

def load(proc: JobProcess):
    proc.userdata["vad"] = object()

async def answer(request: JobRequest):
    await request.accept(name="Front desk")

async def report(ctx: JobContext):
    ctx.make_session_report()

server = AgentServer(setup_fnc=load)

@server.rtc_session(on_request=answer, on_session_end=report, on_simulation_end=report)
async def my_agent(ctx: JobContext):
    '''Answers at the desk.'''
    session = AgentSession()
    await session.start(Agent(instructions="x"), room=ctx.room)

if __name__ == "__main__":
    cli.run_app(server)
"""

OPTIONS = """
from livekit.agents import JobContext, WorkerOptions, cli

def warm(proc):
    proc.userdata["index"] = 1

async def answer(request):
    await request.reject()

async def run(ctx):
    '''Runs.'''
    await ctx.connect()

if __name__ == "__main__":
    raise SystemExit("this is no program here")
    cli.run_app(WorkerOptions(entrypoint_fnc=run, prewarm_fnc=warm, request_fnc=answer, drain_timeout=5))
"""

BARE = """
from livekit.agents import JobContext

def prewarm(proc):
    proc.userdata["index"] = 1

async def entrypoint(ctx: JobContext) -> None:
    '''Holds calls.'''
    await ctx.connect()
"""

CALLBACKS = ("entrypoint", "prewarm", "on_request", "on_session_end", "on_simulation_end")


def names(found: LoadedAgent) -> dict[str, str]:
    """Return the names of the functions in an agent's spec."""
    assert found.spec, found.reason
    given = {name: getattr(found.spec, name) for name in CALLBACKS}
    return {name: function.__name__ for name, function in given.items() if function is not None}


ALL = {
    "entrypoint": "my_agent",
    "prewarm": "load",
    "on_request": "answer",
    "on_session_end": "report",
    "on_simulation_end": "report",
}


@pytest.mark.parametrize("value", ["pkg_a:server", "pkg_a:my_agent"])
def test_a_server_or_the_function_that_it_runs_is_an_agent_with_all_that_it_brings(site: Site, value: str) -> None:
    found = site.agent(SERVER, value)
    assert (found.name, found.state, found.shape) == ("helpdesk", State.READY, "entrypoint")
    assert names(found) == ALL
    assert found.spec and found.spec.summary == "Answers at the desk."
    assert found.notes == ("prewarmed by pkg_a:load",)


def test_a_server_without_more_than_a_session_brings_nothing_more(site: Site) -> None:
    source = re.sub(r"setup_fnc=load|on_request.*report", "", SERVER)
    found = site.agent(source, "pkg_a:server")
    assert (names(found), found.notes) == ({"entrypoint": "my_agent"}, ())


def test_a_server_of_an_older_release_is_made_of_options(site: Site) -> None:
    source = OPTIONS + "\nserver = __import__('livekit.agents').agents.AgentServer.from_server_options"
    found = site.agent(source + "(WorkerOptions(run, prewarm_fnc=warm))", "pkg_a:server")
    assert (names(found), found.notes) == ({"entrypoint": "run", "prewarm": "warm"}, ("prewarmed by pkg_a:warm",))


def test_options_below_a_main_guard_are_read_and_nothing_there_is_run(site: Site) -> None:
    found = site.agent(OPTIONS, "pkg_a:run")
    assert names(found) == {"entrypoint": "run", "prewarm": "warm", "on_request": "answer"}
    assert found.notes == ("prewarmed by pkg_a:warm", "drain_timeout not used: the worker is OpenRTC's")


def test_options_may_be_an_object_of_the_module(site: Site) -> None:
    found = site.agent(OPTIONS + "\noptions = WorkerOptions(run, prewarm_fnc=warm)", "pkg_a:options")
    assert names(found) == {"entrypoint": "run", "prewarm": "warm"}
    assert found.spec and found.spec.summary == "Runs."


def test_an_option_that_is_computed_is_told(site: Site) -> None:
    source = OPTIONS.replace("drain_timeout=5", "agent_name=str(1), permissions=None")
    found = site.agent(source, "pkg_a:run")
    line = next(number for number, text in enumerate(source.split("\n"), 1) if "WorkerOptions(entrypoint" in text)
    said = f"agent_name (at line {line}, which is computed) not used: the worker is OpenRTC's"
    assert found.notes == ("prewarmed by pkg_a:warm", said)


@pytest.mark.parametrize(
    "source",
    [
        BARE,
        BARE.replace("ctx: JobContext", "ctx: 'JobContext'"),
        BARE.replace("ctx: JobContext", "job"),
        "from __future__ import annotations\n" + BARE,
        BARE.replace("from livekit.agents import JobContext", "from livekit import agents").replace(
            "ctx: JobContext", "ctx: agents.JobContext, more=None"
        ),
    ],
)
def test_a_bare_function_is_prewarmed_by_that_of_its_module(site: Site, source: str) -> None:
    found = site.agent(source, "pkg_a:entrypoint")
    assert names(found) == {"entrypoint": "entrypoint", "prewarm": "prewarm"}
    assert found.spec and found.spec.summary == "Holds calls."
    assert found.notes == ("prewarmed by pkg_a:prewarm",)


def test_a_function_of_another_module_counts_with_what_that_module_has(site: Site) -> None:
    site.add("pkg-b", files={"pkg_b.py": BARE})
    found = site.agent("from pkg_b import entrypoint", "pkg_a:entrypoint")
    assert names(found) == {"entrypoint": "entrypoint", "prewarm": "prewarm"}


@pytest.mark.parametrize(
    "options",
    [
        *("load_fnc=lambda: 0.5", "ws_url='ws://elsewhere'", "drain_timeout=5", "job_memory_limit_mb=500"),
        *("load_threshold=0.5", "job_executor_type=JobExecutorType.THREAD", "port=7000", "num_idle_processes=9"),
    ],
)
def test_what_has_no_effect_in_a_worker_of_many_is_told(site: Site, options: str) -> None:
    source = SERVER.replace("setup_fnc=load", options).replace("AgentServer,", "AgentServer, JobExecutorType,")
    found = site.agent(source, "pkg_a:server")
    name = options.partition("=")[0]
    assert (found.state, found.notes) == (State.READY, (f"{name} not used: the worker is OpenRTC's",))


def test_a_name_in_the_operators_environment_is_no_packages_name(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_AGENT_NAME", "operators")
    assert site.agent(SERVER, "pkg_a:server").notes == ("prewarmed by pkg_a:load",)


def test_the_address_in_the_operators_environment_is_no_packages(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "HTTP_PROXY"):
        monkeypatch.setenv(name, "ws://operators")
    assert site.agent(SERVER, "pkg_a:server").notes == ("prewarmed by pkg_a:load",)


@pytest.mark.parametrize(
    ("source", "value", "reason", "fix"),
    [
        (
            "from livekit.agents import AgentServer\nserver = AgentServer()",
            "pkg_a:server",
            "is an AgentServer without a session",
            "@server.rtc_session",
        ),
        (
            "async def Support(ctx): ...",
            "pkg_a:Support",
            "an async function of one ctx: a LiveKit entrypoint, or a factory of agents?",
            "ctx: JobContext for an entrypoint, or call: Call for a factory",
        ),
        (
            BARE.replace("async def", "def").replace("    await ctx.connect()\n", ""),
            "pkg_a:entrypoint",
            "takes a JobContext and is not async",
            "write async def",
        ),
        (
            SERVER.replace("def load", "async def load"),
            "pkg_a:server",
            "its prewarm is async, and livekit-agents waits for none",
            "write def",
        ),
        (SERVER, "pkg_a", "is a module, not an agent", "helpdesk = pkg_a:server"),
    ],
)
def test_what_cannot_be_told_or_run_is_one_line(
    site: Site, check_broken: Callable[..., None], source: str, value: str, reason: str, fix: str
) -> None:
    if ":" in value:
        check_broken(site.agent(source, value), reason, re.escape(fix) if fix.startswith("@") else fix)
    else:  # a module as such would be one that brings hooks
        found = site.agent(f"{source}\nimport pkg_a as here", "pkg_a:here")
        check_broken(found, reason, "helpdesk = pkg_a:server")


@pytest.mark.parametrize(
    "source",
    ["async def make(call): ...", "async def make(ctx, more): ...", "async def make(): ...", "def make(ctx): ..."],
)
def test_a_factory_is_no_entrypoint(site: Site, source: str) -> None:
    found = site.agent(source, "pkg_a:make")
    assert found.spec is None or found.spec.entrypoint is None


def test_an_annotated_ctx_of_a_factory_is_the_call(site: Site) -> None:
    found = site.agent("from openrtc import Call\nasync def make(ctx: Call): ...", "pkg_a:make")
    assert found.spec and found.spec.agent


def test_isolation_is_asked_for_by_the_function(site: Site) -> None:
    found = site.agent(f"{BARE}\nentrypoint.openrtc_isolation = 'process'\n", "pkg_a:entrypoint")
    assert found.asked_isolation == "process"


def test_a_class_beside_a_server_is_an_agent_that_lacks_what_the_server_adds(site: Site) -> None:
    source = SERVER + "\nclass Desk(Agent):\n    def __init__(self): super().__init__(instructions='x')\n"
    found = site.agent(source, "pkg_a:Desk")
    assert found.spec and found.spec.agent and found.state is State.READY
    assert found.notes == ("what pkg_a:server adds to the class counts only where the entry point is server",)


def test_a_file_with_a_hyphen_in_its_name_is_pointed_at_as_it_is_called(site: Site) -> None:
    site.add("pkg-a", agents={"helpdesk": "front-desk:server"}, files={"front-desk.py": SERVER})
    (found,) = site.load().agents
    assert names(found) == ALL, found.reason


def test_a_distributions_name_in_the_place_of_its_modules_is_told(
    site: Site, check_broken: Callable[..., None]
) -> None:
    site.add("pkg-a", agents={"helpdesk": "pkg-a:server"}, files={"pkg_a.py": SERVER})
    (found,) = site.load().agents
    check_broken(found, 'names the module "pkg-a", which does not exist', 'did you mean "pkg_a"')


def test_an_agent_name_needs_no_main_guard_to_be_run(site: Site) -> None:
    source = OPTIONS.replace("drain_timeout=5", "agent_name='night', worker_type=WorkerType.PUBLISHER").replace(
        "WorkerOptions, cli", "WorkerOptions, WorkerType, cli"
    )
    found = site.agent(source, "pkg_a:run")
    assert found.worker and found.worker.agent_name == "night"
    assert found.worker.registration["type"].name == "PUBLISHER"
    assert found.notes == ("prewarmed by pkg_a:warm", "agent name 'night' in its code")


def test_without_a_name_a_registration_of_its_own_is_not_used(site: Site) -> None:
    source = SERVER.replace("setup_fnc=load", "permissions=WorkerPermissions(hidden=True)")
    found = site.agent(source.replace("JobRequest,", "JobRequest, WorkerPermissions,"), "pkg_a:server")
    assert found.notes == ("permissions not used: the worker is OpenRTC's",)


@pytest.mark.process
def test_list_agents_says_what_prewarms_and_what_is_not_used(site: Site) -> None:
    site.add("pkg-a", agents={"helpdesk": "pkg_a:run"}, files={"pkg_a.py": OPTIONS})
    row = site.agents("--load", site.only)["helpdesk"]
    assert (row["state"], row["summary"]) == ("ready", "Runs.")
    assert row["notes"] == ["prewarmed by pkg_a:warm", "drain_timeout not used: the worker is OpenRTC's"]
    said = " ".join(site.run("list-agents", "--load", site.only).stdout.split())
    assert "Runs. (prewarmed by pkg_a:warm; drain_timeout not used" in said
