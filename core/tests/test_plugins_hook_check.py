from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from openrtc.discovery.entries import State

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
            ROUTER.replace("@hookimpl", "@hookimpl(hookwrapper=True)"),
            "pkg_p",
            "hook wrapper",
            "plain @hookimpl",
            "pkg_p.py:4",
        ),
        (
            ROUTER.replace("@hookimpl", "@hookimpl(wrapper=True)").replace("return None", "yield"),
            "pkg_p",
            "hook wrapper",
            "plain",
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
