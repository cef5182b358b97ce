from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.model.check_result import CheckResult
from openrtc.plugins import checks
from openrtc.plugins.checks import call_checks, read_checks
from openrtc.settings.config import Config, WorkerSettings

if TYPE_CHECKING:
    from conftest import Site

HEAD = "import sys, time\nfrom openrtc import CheckResult, hookimpl\n@hookimpl\n"
GOOD = (
    "def openrtc_checks(config):\n    yield CheckResult(name='port', verdict='ok', message=str(config.worker.port))\n"
)
BAD = {
    "raises": ("def openrtc_checks():\n    raise ConnectionError('no database')", "ConnectionError: no database"),
    "exits": ("def openrtc_checks():\n    sys.exit(3)", "SystemExit(3)"),
    "yields": ("def openrtc_checks():\n    yield CheckResult(name='x', verdict='bad')", 'the verdict "bad"'),
    "texts": ("def openrtc_checks():\n    return ['all is well']", "gave str, not a CheckResult"),
    "hangs": ("def openrtc_checks():\n    time.sleep(60)", "no answer within 0.2 s"),
    "blocks": ("async def openrtc_checks():\n    time.sleep(60)", "has not come back"),
}


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECKS_LIMIT", 0.2)
    monkeypatch.setattr(checks, "LATE_LIMIT", 0.3)
    # It would end the process of the tests.
    monkeypatch.setattr("openrtc.plugins.checks.faulthandler.dump_traceback_later", lambda *_, **__: None)


def call(site: Site, tmp_path: Path, **sources: str) -> dict[str, CheckResult]:
    for name, source in sources.items():
        site.add(f"p-{name}", plugins={"a": f"p_{name}"}, files={f"p_{name}.py": HEAD + source})
    file = tmp_path / "checks.jsonl"
    call_checks(site.load().plugins, Config(worker=WorkerSettings(port=9999)), file)
    return {one.distribution: one for one in read_checks(file)}


def test_a_plugins_checks_get_the_settings_and_are_named_for_their_distribution(site: Site, tmp_path: Path) -> None:
    found = call(site, tmp_path, good=GOOD)
    assert found == {"p-good": CheckResult(name="port", verdict="ok", message="9999", distribution="p-good")}


def test_one_that_fails_hangs_or_blocks_is_a_line_that_names_it_and_the_others_answer(
    site: Site, tmp_path: Path
) -> None:
    found = call(site, tmp_path, good=GOOD, **{name: source for name, (source, _) in BAD.items()})
    assert found["p-good"].verdict == "ok"
    for name, (_, said) in BAD.items():
        one = found[f"p-{name}"]
        assert one.verdict == "fault" and said in one.message, one
        assert f"p-{name}" in one.fix or "CheckResult(name=" in one.fix
        assert f"p_{name}.py:" in one.location


def test_what_a_process_that_has_ended_could_not_say_is_told(tmp_path: Path) -> None:
    file = tmp_path / "checks.jsonl"
    row = {"name": "x", "verdict": "fault", "message": "ended", "fix": "", "location": "", "distribution": "p-dies"}
    file.write_text(json.dumps([0, []]) + "\n" + json.dumps([0, [row]]) + "\n[1, [{")
    assert [one.message for one in read_checks(file)] == ["ended"]
    assert list(read_checks(tmp_path / "none")) == []
