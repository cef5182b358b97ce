from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from openrtc.model import hookspecs as specs
from openrtc.model.status import State
from openrtc.plugins.hook_check import hook_arguments
from openrtc.plugins.hooks import Hooks

if TYPE_CHECKING:
    from conftest import Site

CheckBroken = Callable[..., None]

AGENT = """
from livekit.agents import Agent

class Support(Agent):
    '''Answers questions about orders.

    At length.
    '''

    def __init__(self):
        super().__init__(instructions="Help.")
"""


ROUTER = """
from openrtc import hookimpl

@hookimpl
def openrtc_route(request, agents):
    return None
"""
DECORATORS = "import functools\nfrom openrtc import hookimpl\n"
COMPILED = f"""{DECORATORS}
class Compiled:
    def __call__(self, request): ...
    def __get__(self, holder, kind): return self
"""
LAZY = """
class Lazy:
    def __getattr__(self, name): raise RuntimeError(name)
proxy = Lazy()
"""
METHODS = """
from openrtc import hookimpl

class Vip:
    @hookimpl
    def openrtc_route(self, request): ...

    @hookimpl(specname="openrtc_shutdown")
    async def clean_up(self, worker): ...
"""


def test_a_module_with_a_hook_is_a_plugin(site: Site) -> None:
    found = site.plugin(ROUTER)
    assert (found.name, found.state, found.hooks) == ("pkg-p:vip", State.READY, ("openrtc_route",))
    assert found.distribution == "pkg-p"


@pytest.mark.parametrize("value", ["pkg_p:Vip", "pkg_p:instance"])
def test_a_class_or_an_instance_is_a_plugin(site: Site, value: str) -> None:
    found = site.plugin(f"{METHODS}\ninstance = Vip()\n", value)
    assert found.state is State.READY, found.reason
    assert found.hooks == ("openrtc_route", "openrtc_shutdown")
    assert type(found.target).__name__ == "Vip"


@pytest.mark.parametrize(
    ("source", "value", "reason", "fix", "place"),
    [
        (
            ROUTER.replace("openrtc_route", "openrtc_rout"),
            "pkg_p",
            'no hook "openrtc_rout"',
            'did you mean "openrtc_route"',
            "pkg_p.py:4",
        ),
        (ROUTER.replace("@hookimpl", ""), "pkg_p", "openrtc_route is not decorated", "@hookimpl", "pkg_p.py:5"),
        ("def openrtc_rout(r): ...", "pkg_p", 'no hook "openrtc_rout"', 'did you mean "openrtc_route"', "pkg_p.py:1"),
        (f"{ROUTER}\ndef openrtc_xyzzy(): ...", "pkg_p", 'no hook "openrtc_xyzzy"', "rename it", None),
        (
            ROUTER.replace("request, agents", "requests"),
            "pkg_p",
            'the argument "requests"',
            'did you mean "request"',
            "pkg_p.py:4",
        ),
        (
            ROUTER.replace("request, agents", "zzz"),
            "pkg_p",
            'the argument "zzz"',
            "it may take request, agents",
            "pkg_p.py:4",
        ),
        (ROUTER.replace("request, agents", "request, *, db"), "pkg_p", 'the argument "db"', "may take", "pkg_p.py:4"),
        (
            ROUTER.replace("@hookimpl", "@hookimpl(hookwrapper=True)").replace("return None", "yield"),
            "pkg_p",
            "old-style hook wrapper",
            r"hookimpl\(wrapper=True\)",
            "pkg_p.py:4",
        ),
        (ROUTER.replace("@hookimpl", "@hookimpl(wrapper=True)"), "pkg_p", "no generator", "yield once", "pkg_p.py:4"),
        (
            ROUTER.replace("@hookimpl\n", "@hookimpl(wrapper=True)\nasync ").replace("return None", "yield"),
            "pkg_p",
            "no generator",
            "write def",
            "pkg_p.py:4",
        ),
        (
            "from openrtc import hookimpl\n@hookimpl(wrapper=True)\ndef openrtc_agents(): yield",
            "pkg_p",
            "each package's agents are its own",
            "plain @hookimpl",
            "pkg_p.py:2",
        ),
        (ROUTER.replace("return None", "yield"), "pkg_p", "openrtc_route is a generator", "return the value", None),
        (
            ROUTER.replace("@hookimpl\n", "@hookimpl\nasync ").replace("return None", "yield"),
            "pkg_p",
            "openrtc_route is a generator",
            "return the value",
            "pkg_p.py:4",
        ),
        (
            ROUTER.replace("request, agents", "request, /, agents"),
            "pkg_p",
            "openrtc_route cannot be called with request, agents: .*request",
            r"write def openrtc_route\(request, agents\)",
            "pkg_p.py:4",
        ),
        (ROUTER.replace("request, agents", "*, request"), "pkg_p", "cannot be called with no arguments", "write", None),
        (
            f"{DECORATORS}@hookimpl\n@functools.cache\ndef openrtc_agents(): return []",
            "pkg_p",
            "openrtc_agents is a functools.cache, not a function",
            "write a function",
            "pkg_p.py:3",
        ),
        (
            f"{DECORATORS}@functools.cache\n@hookimpl\ndef openrtc_agents(): return []",
            "pkg_p",
            "openrtc_agents is a functools.cache, not a function",
            "write a function",
            None,
        ),
        (
            f"{DECORATORS}def r(request, who): ...\nopenrtc_route = hookimpl(functools.partial(r, who='sales'))",
            "pkg_p",
            "openrtc_route is a functools.partial, not a function",
            "write a function",
            "pkg_p.py",
        ),
        (
            f"{DECORATORS}mine = hookimpl(specname='openrtc_route')(functools.partial(print))",
            "pkg_p",
            "mine is a functools.partial, not a function",
            "write a function",
            None,
        ),
        (
            "class Route:\n    def __call__(self, request): ...\nopenrtc_route = Route()",
            "pkg_p",
            "openrtc_route is a pkg_p.Route, not a function",
            "write a function",
            "pkg_p.py",
        ),
        (
            f"{COMPILED}class Vip:\n    openrtc_route = hookimpl(Compiled())",
            "pkg_p:Vip",
            "openrtc_route is a pkg_p.Compiled, not a function",
            "write a function",
            None,
        ),
        (
            ROUTER.replace("openrtc_route(request, agents)", "openrtc_resources(x)"),
            "pkg_p",
            '"x"',
            "takes no arguments",
            None,
        ),
        (
            ROUTER.replace("def openrtc_route(request, agents)", "async def openrtc_agents()"),
            "pkg_p",
            "is async",
            "write def",
            None,
        ),
        (
            "import pluggy\nmark = pluggy.HookimplMarker('other')\n@mark\ndef openrtc_route(): ...",
            "pkg_p",
            "not decorated",
            "from openrtc",
            None,
        ),
        ("x = 1", "pkg_p", "implements no hook", "decorate", "pkg_p.py"),
        ("x = 1", "pkg_p:x", "implements no hook", "decorate", None),
        (ROUTER, "pkg_p:openrtc_route", "is a function, not a plugin", "vip = pkg_p", "pkg_p.py:4"),
        (AGENT, "pkg_p:Support", "is an agent, not a plugin", "openrtc.agents", "pkg_p.py:4"),
        (f"{AGENT}\nbot = Support()", "pkg_p:bot", "is an agent, not a plugin", "openrtc.agents", None),
        (
            METHODS.replace("class Vip:", "class Vip:\n    def __init__(self, db): ..."),
            "pkg_p:Vip",
            "needs the arguments db",
            "no arguments",
            "pkg_p.py:4",
        ),
        (
            METHODS.replace("class Vip:", "class Vip:\n    def __init__(self): 1 / 0"),
            "pkg_p:Vip",
            "ZeroDivisionError",
            "pkg-p",
            "pkg_p.py:5",
        ),
        ("1/0", "pkg_p", "ZeroDivisionError", "pkg-p", "pkg_p.py:1"),
        (ROUTER, "pkg_p:nothing", 'no attribute "nothing"', "define it", "pkg_p.py"),
    ],
)
def test_a_wrong_plugin_is_broken_with_its_hint(
    site: Site, check_broken: CheckBroken, source: str, value: str, reason: str, fix: str, place: str | None
) -> None:
    check_broken(site.plugin(source, value), reason, fix, place)


@pytest.fixture
def deprecated_hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hook ``openrtc_greet(call, words)`` for one test: it is going, and so is its argument ``words``."""

    def openrtc_greet(call: object, words: object) -> None:
        """Greet."""

    hook = DeprecationWarning("the hook openrtc_greet goes in 0.9: use\nopenrtc_session_started")
    argument = FutureWarning("the argument words goes in 0.8")
    mark = specs.hookspec(warn_on_impl=hook, warn_on_impl_args={"words": argument})
    monkeypatch.setattr(specs, "openrtc_greet", mark(openrtc_greet), raising=False)
    hook_arguments.cache_clear()
    yield
    hook_arguments.cache_clear()


def test_a_deprecated_hook_is_one_line_that_names_the_plugin(
    site: Site, deprecated_hook: None, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    found = site.plugin(ROUTER.replace("route(request, agents)", "greet(call)"))
    hooks = Hooks([found])
    assert (found.state, found.hooks) == (State.READY, ("openrtc_greet",))
    assert [one.plugin for one in hooks.implementations("openrtc_greet")] == ["pkg-p:vip"]
    line = "pkg-p 1.0: the hook openrtc_greet goes in 0.9: use openrtc_session_started"
    assert caplog.record_tuples == [("openrtc.plugins", logging.WARNING, f"{line} ({site.folder}/pkg_p.py:4)")]
    assert not recwarn.list, "the operator sees a raw warning of Python, too"


def test_a_deprecated_argument_is_a_line_for_whoever_takes_it(
    site: Site, deprecated_hook: None, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    Hooks([site.plugin(ROUTER.replace("route(request, agents)", "greet(call, words)"))])
    _, argument = caplog.messages
    assert argument.startswith("pkg-p 1.0: the argument words goes in 0.8 (")
    assert not recwarn.list


def test_an_optional_hook_that_does_not_exist_is_allowed(site: Site) -> None:
    source = f"{ROUTER}\n@hookimpl(optionalhook=True)\ndef openrtc_of_the_future(x): ...\n"
    found = site.plugin(source)
    assert (found.state, found.hooks) == (State.READY, ("openrtc_route",))


def test_a_function_of_another_package_that_looks_like_a_hook_is_no_mistake(site: Site) -> None:
    site.add("lib", files={"lib_mod.py": "def openrtc_version(): ..."})
    assert site.plugin(f"from lib_mod import openrtc_version\n{ROUTER}").state is State.READY


def test_a_module_in_the_agents_group_without_hooks_is_told_what_to_write(
    site: Site, check_broken: CheckBroken
) -> None:
    site.add("pkg-a", agents={"helpdesk": "pkg_a"}, files={"pkg_a.py": AGENT})
    site.add("pkg-b", agents={"empty": "pkg_b"}, files={"pkg_b.py": ""})
    first, second = site.load().plugins
    check_broken(first, "has no hooks", "write helpdesk = pkg_a:Support$", "pkg_a.py")
    check_broken(second, "has no hooks", "write empty = pkg_b:ClassName$", "pkg_b.py")


def test_an_object_met_in_both_groups_is_registered_once(site: Site) -> None:
    source = f"{METHODS}\n@hookimpl\ndef openrtc_shutdown(): ...\n"
    site.add(
        "pkg-p",
        agents={"mod": "pkg_p"},
        plugins={"mod": "pkg_p", "cls": "pkg_p:Vip", "again": "pkg_p:Vip"},
        files={"pkg_p.py": source},
    )
    loaded = site.load()
    assert [found.name for found in loaded.plugins] == ["pkg-p:again", "pkg-p:mod"]


def test_plugin_names_are_unique_when_both_groups_use_one_name(site: Site) -> None:
    files = {"pkg_p.py": ROUTER, "pkg_q.py": ROUTER}
    site.add("pkg-p", agents={"x": "pkg_p"}, plugins={"x": "pkg_q"}, files=files)
    names = [found.name for found in site.load().plugins]
    assert len(set(names)) == 2
    assert names[0] == "pkg-p:x"


@pytest.mark.parametrize(
    "source",
    [
        "@hookimpl\ndef openrtc_resources(): yield from ()",
        "@hookimpl(wrapper=True)\ndef openrtc_route(request, agents):\n    return (yield)",
        "@hookimpl\ndef openrtc_route(request=None): ...",
        "@hookimpl\ndef openrtc_route(**given): ...",
        "def f(request, agents): ...\n@hookimpl\n@functools.wraps(f)\ndef openrtc_route(*a, **b): return f(*a, **b)",
        f"{LAZY}@hookimpl\ndef openrtc_shutdown(): ...",
    ],
)
def test_what_can_be_called_is_a_hook(site: Site, source: str) -> None:
    found = site.plugin(f"{DECORATORS}{source}")
    assert found.state is State.READY, found.reason
