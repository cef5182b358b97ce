from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from openrtc.model.status import State
from openrtc.plugins.load import load
from openrtc.settings.config import Config

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


@pytest.mark.parametrize(
    ("source", "reason", "fix", "place"),
    [
        (
            "\nimport nothing_like_it",
            '"nothing_like_it", which is not installed',
            "install what brings that module, which pkg-a should require, or --deny pkg-a",
            "pkg_a.py:2",
        ),
        ("import yaml_not_there, yaml", "yaml_not_there", "^install what brings that module", "pkg_a.py:1"),
        (
            "import livekit.plugins.unheard_of",
            "livekit.plugins.unheard_of",
            "^install what brings that module",
            "pkg_a.py:1",
        ),
        (
            "import livekit.plugins.hume",
            "livekit.plugins.hume",
            r"^pip install 'livekit-agents\[hume\]'$",
            "pkg_a.py:1",
        ),
        ("import cv2.nothing", "cv2.nothing|cv2", "^pip install opencv-python$", "pkg_a.py:1"),
        ("import pluggy.nonsense", "pluggy.nonsense", "pip install --upgrade pluggy", "pkg_a.py:1"),
        ("from pluggy import nonsense", "ImportError: cannot import name 'nonsense'", "pkg-a", "pkg_a.py:1"),
        ("x = 1\ndef f(:\n", "SyntaxError", "fix that line", "pkg_a.py:2"),
        ("if True:\nx = 1\n", "IndentationError", "fix that line", "pkg_a.py:2"),
        ("\n\n1 / 0", "ZeroDivisionError: division by zero", "--deny pkg-a", "pkg_a.py:3"),
        ("def f():\n    raise ValueError('two\\nlines')\nf()", "ValueError: two lines", "fix or update", "pkg_a.py:2"),
        ("import sys\nsys.exit('bye')", r"sys.exit\('bye'\) at import", "__main__", "pkg_a.py:2"),
        ("import sys\nsys.exit()", r"sys.exit\(None\) at import", "__main__", "pkg_a.py:2"),
        ("raise GeneratorExit", "GeneratorExit", "pkg-a", "pkg_a.py:1"),
        ("import asyncio\nraise asyncio.CancelledError", "CancelledError", "pkg-a", "pkg_a.py:2"),
        ("class Odd(BaseException): ...\nraise Odd('x')", "Odd: x", "pkg-a", "pkg_a.py:2"),
        ("def f(): f()\nf()", "RecursionError", "pkg-a", "pkg_a.py:1"),
        ("raise MemoryError", "MemoryError", "pkg-a", "pkg_a.py:1"),
        ("raise ExceptionGroup('many', [ValueError(1)])", "ExceptionGroup: many", "pkg-a", "pkg_a.py:1"),
        (
            "class Odd(Exception):\n    def __str__(self): 1/0\nraise Odd",
            "Odd: its message cannot be read",
            "pkg-a",
            "pkg_a.py:3",
        ),
        ("assert False", "AssertionError", "pkg-a", "pkg_a.py:1"),
        ("import json\njson.loads('{')", "JSONDecodeError", "pkg-a", "pkg_a.py:2"),
        ("def __getattr__(name): raise OSError('lazy')", "OSError: lazy", "pkg-a", "pkg_a.py:1"),
        ("import pkg_a.helpers", "pkg_a.helpers", "pkg-a", "pkg_a.py:1"),
    ],
)
def test_whatever_an_import_does_is_a_row_with_reason_fix_and_place(
    site: Site, check_broken: CheckBroken, source: str, reason: str, fix: str, place: str
) -> None:
    check_broken(site.agent(source), reason, fix, place)


def test_the_other_agents_are_ready_beside_a_broken_one(site: Site) -> None:
    site.add("bad", agents={"bad": "bad_mod:X"}, files={"bad_mod.py": "raise SystemExit(3)"})
    site.add("good", agents={"good": "good_mod:Support"}, files={"good_mod.py": AGENT})
    assert {found.name: found.state for found in site.load().agents} == {"bad": State.BROKEN, "good": State.READY}


def test_ctrl_c_during_an_import_passes(site: Site) -> None:
    site.add("pkg-a", agents={"helpdesk": "pkg_a:X"}, files={"pkg_a.py": "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        site.load()


def test_a_module_that_does_not_exist_is_told_at_the_line_that_names_it(site: Site, check_broken: CheckBroken) -> None:
    site.add("pkg-a", agents={"one": "pkg_a.helpdsk:X"}, files={"pkg_a/__init__.py": "", "pkg_a/helpdesk.py": ""})
    info = site.add("pkg-b", agents={"two": "pkg_b_gone:X"})
    one, two = site.load().agents
    check_broken(
        one, 'the module "pkg_a.helpdsk", which does not exist', 'did you mean "pkg_a.helpdesk"', "entry_points.txt:2"
    )
    check_broken(two, 'the module "pkg_b_gone"', "--force-reinstall pkg-b", str(info / "entry_points.txt") + ":2")


def test_a_missing_module_of_the_package_itself_is_no_case_for_pip(site: Site, check_broken: CheckBroken) -> None:
    files = {"pkg_a/__init__.py": "\nimport pkg_a.tols", "pkg_a/tools.py": ""}
    site.add("pkg-a", agents={"one": "pkg_a:X"}, files=files)
    (one,) = site.load().agents
    check_broken(one, 'its own module "pkg_a.tols"', 'did you mean "pkg_a.tools"', "__init__.py:2")


def test_the_place_is_the_deepest_line_of_the_package_not_of_the_library_it_calls(
    site: Site, check_broken: CheckBroken
) -> None:
    files = {
        "pkg_a/__init__.py": "",
        "pkg_a/agent.py": "\nimport pkg_a.settings",
        "pkg_a/settings.py": "\n\nimport library_x\nlibrary_x.fail()",
        "library_x.py": "def fail(): raise RuntimeError('no')",
    }
    site.add("pkg-a", agents={"one": "pkg_a.agent:X"}, files=files)
    (one,) = site.load().agents
    check_broken(one, "RuntimeError: no", "pkg-a", "pkg_a/settings.py:4")


def test_the_place_in_a_namespace_package_is_that_of_the_distribution(site: Site, check_broken: CheckBroken) -> None:
    files = {"shared_ns/other/__init__.py": "def fail(): raise RuntimeError", "shared_ns/mine/__init__.py": ""}
    files["shared_ns/mine/agent.py"] = "\nfrom shared_ns.other import fail\nfail()"
    site.add("pkg-a", agents={"one": "shared_ns.mine.agent:X"}, files=files)
    check_broken(site.load().agents[0], "RuntimeError", "pkg-a", "shared_ns/mine/agent.py:3")


def test_what_a_package_prints_at_import_goes_to_stderr(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    found = site.agent(f"print('hello from the package')\n{AGENT}")
    assert found.state is State.READY
    out, err = capfd.readouterr()
    assert out == ""
    assert "hello from the package" in err


def test_what_is_not_usable_is_not_imported(site: Site) -> None:
    site.add("denied", agents={"a": "mod_denied:X"}, plugins={"p": "mod_denied"}, files={"mod_denied.py": "1/0"})
    loaded = site.load(deny=("denied",))
    assert [*(a.state for a in loaded.agents), *(p.state for p in loaded.plugins)] == [State.DISABLED] * 2


def test_agents_that_are_not_wanted_stay_installed(site: Site) -> None:
    site.add("pkg-a", agents={"a": "mod_a:X", "b": "mod_b:X"}, files={"mod_a.py": "1/0", "mod_b.py": "1/0"})
    loaded = load(site.entries(), Config(), only=lambda entry: entry.name == "b")
    assert {found.name: found.state for found in loaded.agents} == {"a": State.INSTALLED, "b": State.BROKEN}
