"""What an import comes to, and what it is not blamed for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from openrtc.check.card import Finding, RuleVerdict
from openrtc.check.loading import judge_entries, judge_import_cost, judge_imports, judge_marks, why_not_imported
from openrtc.check.requiring import judge_requirements

if TYPE_CHECKING:
    from conftest import Site

ROUTER = "from openrtc import hookimpl\n@hookimpl\ndef openrtc_route(request, agents): return None\n"
PASSED, FAILED, NOT_CHECKED = RuleVerdict.PASSED, RuleVerdict.FAILED, RuleVerdict.NOT_CHECKED


def verdicts(findings: list[Finding]) -> dict[str, RuleVerdict]:
    """Return the verdict of each rule, the last one where there are several."""
    return {one.rule: one.verdict for one in findings}


def judge(site: Site, source: str) -> dict[str, Finding]:
    """Return what is found of the import of a plugin."""
    plugin = site.plugin(source)
    return {one.rule: one for one in judge_imports([], [plugin])}


@pytest.mark.parametrize(
    ("source", "imports", "hooks", "what"),
    [
        (ROUTER, PASSED, PASSED, "pkg_p"),
        (ROUTER.replace("agents", "agent"), PASSED, FAILED, "pkg_p"),
        (ROUTER.replace("route", "rout"), PASSED, FAILED, "pkg_p"),
        ("import sys\nsys.exit(3)", FAILED, NOT_CHECKED, "called sys.exit(3) at import"),
        ("import os\nos._exit(3)", FAILED, NOT_CHECKED, "called os._exit(3) at import"),
        ("def (:", FAILED, NOT_CHECKED, "SyntaxError"),
        ("1 + 'a'", FAILED, NOT_CHECKED, "TypeError"),
        ("from pkg_p import nothing", FAILED, NOT_CHECKED, "ImportError"),
        ("import flask_of_nobody", NOT_CHECKED, NOT_CHECKED, "which is not installed"),
        ("from json import nothing", NOT_CHECKED, NOT_CHECKED, "ImportError"),
        ("import os\nos.environ['CRM_URL']", NOT_CHECKED, NOT_CHECKED, "KeyError"),
        ("import os\nos.environ.get('CRM_URL').strip()", NOT_CHECKED, NOT_CHECKED, "NoneType"),
        ("open('/nowhere/at/all')", NOT_CHECKED, NOT_CHECKED, "FileNotFoundError"),
        ("raise ValueError('CRM_URL is not set')", NOT_CHECKED, NOT_CHECKED, "ValueError"),
        ("raise RuntimeError('no api_key was given')", NOT_CHECKED, NOT_CHECKED, "needs a key"),
    ],
)
def test_a_package_is_blamed_for_what_its_code_does_wrong_by_itself(
    site: Site, source: str, imports: RuleVerdict, hooks: RuleVerdict, what: str
) -> None:
    found = judge(site, source)
    assert (found["imports"].verdict, found["hooks"].verdict) == (imports, hooks), found
    assert what in found["imports"].what


def test_an_agent_that_no_worker_can_run_is_told_with_its_fix(site: Site) -> None:
    agent = site.agent("from livekit.agents import Agent\nagent = Agent(instructions='Help.')\n", "pkg_a:agent")
    found = {one.rule: one for one in judge_imports([agent], [])}
    assert (found["imports"].verdict, found["agents"].verdict) == (PASSED, FAILED)
    assert "all calls would share it" in found["agents"].what
    assert found["agents"].fix


def test_entry_points_that_cannot_be_read_and_none_at_all_are_told(site: Site) -> None:
    assert verdicts(list(judge_entries([]))) == {"entry-points": FAILED}
    assert why_not_imported([]) == "see entry-points"
    site.add("pkg-a", agents={"help desk": "pkg_a:Support"})
    entries = site.entries()
    assert verdicts(list(judge_entries(entries))) == {"entry-points": FAILED}
    assert why_not_imported(entries) == "see entry-points"


def test_each_missing_requirement_is_named_and_no_fault_of_the_package(site: Site) -> None:
    site.add("pkg-a", agents={"desk": "pkg_a:A"}, requires=["nobody-a>=2", "pluggy", "nobody-b"])
    found = list(judge_requirements("pkg-a"))
    assert {one.verdict for one in found} == {NOT_CHECKED}
    assert [one.what for one in found] == [
        "needs nobody-a>=2, which is not installed",
        "needs nobody-b, which is not installed",
    ]
    assert "nobody-b" in found[1].fix
    assert why_not_imported(site.entries()) == "see requirements"


@pytest.mark.parametrize(
    ("requires", "verdict", "what"),
    [
        ("pluggy>=1", PASSED, "pluggy>=1"),
        ("livekit-agents<1.0", FAILED, "and this OpenRTC runs with"),
        ("livekit-agents!=1.8.9,>=1.8", PASSED, "livekit-agents"),
        ("pkg-b @ file:///home/me/pkg-b", FAILED, "is a path, which only one machine has"),
        ("pkg-b =!= 3", FAILED, "cannot be read"),
        ("openrtc-core>=99", NOT_CHECKED, "needs openrtc-core>=99"),
    ],
)
def test_a_requirement_that_can_never_be_met_here_is_a_fault(
    site: Site, requires: str, verdict: RuleVerdict, what: str
) -> None:
    site.add("pkg-a", agents={"desk": "pkg_a:A"}, requires=[requires])
    (found,) = judge_requirements("pkg-a")
    assert what in found.what
    assert found.verdict is verdict or "1.8.9" in requires


def test_the_time_and_memory_of_an_import_are_told_with_figures() -> None:
    assert verdicts(list(judge_import_cost(0.1, 1e6))) == {"import-time": PASSED, "import-memory": PASSED}
    slow = {one.rule: one for one in judge_import_cost(3.03, 300e6)}
    assert (slow["import-time"].verdict, slow["import-time"].what) == (FAILED, "3.03 s")
    assert verdicts(list(judge_import_cost(3.03, 0, busy=True)))["import-time"] is NOT_CHECKED
    assert (slow["import-memory"].verdict, slow["import-memory"].what) == (FAILED, "300 MB")


def test_what_an_import_changes_is_told() -> None:
    assert verdicts(list(judge_marks([]))) == {"marks": PASSED}
    assert verdicts(list(judge_marks(["its import has changed the current folder"]))) == {"marks": FAILED}
