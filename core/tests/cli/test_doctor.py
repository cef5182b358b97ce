from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from e2e.worker_template import worker_template
from openrtc.cli.main import main
from openrtc.model.check_result import CheckResult

if TYPE_CHECKING:
    from conftest import Site

SECRETS = {"LIVEKIT_API_KEY": "APIkeykeykey", "LIVEKIT_API_SECRET": "the-secret-that-nobody-may-read-anywhere"}
CHECKS = """
import os
from openrtc import CheckResult, hookimpl

@hookimpl
def openrtc_checks(config):
    secret = os.environ["LIVEKIT_API_SECRET"]
    return [CheckResult(name="db", verdict="warning", message=f"{secret} of {config.worker.port}", fix="start it")]
"""
ALL_IS_WELL = [CheckResult(name="python", verdict="ok", message="Python 3.11")]
WARNING = CheckResult(name="clock", verdict="warning", message="it is late", fix="set it")
FAULT = CheckResult(name="settings", verdict="fault", message="wrong", fix="mend it", location="openrtc.toml:3")


@pytest.mark.process
def test_a_broken_machine_is_told_in_one_document_without_a_secret(site: Site) -> None:
    site.add("acme", plugins={"vip": "acme_vip", "gone": "acme_gone"}, files={"acme_vip.py": CHECKS})
    (site.work / "openrtc.toml").write_text("[worker]\nport = 0\nprot = 1\n")
    environ = {**SECRETS, "LIVEKIT_URL": "ws://me:password@127.0.0.1:1", "OPENRTC_ALLOW": "acme"}
    result = site.fork(worker_template(), "-m", "openrtc", "doctor", "--json", env=environ)
    assert result.returncode == 1, result.stderr
    document = json.loads(result.stdout)
    assert (document["schema_version"], document["verdict"]) == (1, "fault")
    found = {(one["distribution"], one["name"]): one for one in document["checks"] if one["verdict"] != "ok"}
    assert found[None, "settings"]["fix"] == 'did you mean "port"?'
    assert found[None, "server"]["message"] == "ws://127.0.0.1:1 cannot be reached: Connection refused"
    assert "acme_gone" in found[None, "plugin gone"]["message"]
    assert found["acme", "db"] == {
        "name": "db",
        "verdict": "warning",
        "message": "… of 0",
        "fix": "start it",
        "location": None,
        "distribution": "acme",
    }
    assert all(one["fix"] for one in found.values())
    for secret in (*SECRETS.values(), "password"):
        assert secret not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("results", "code", "last"),
    [
        (ALL_IS_WELL, 0, "all is well"),
        ([*ALL_IS_WELL, WARNING], 0, "1 warning"),
        ([FAULT, FAULT, WARNING], 1, "2 faults, 1 warning"),
    ],
)
def test_only_a_fault_is_a_negative_answer(
    results: list[CheckResult],
    code: int,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("openrtc.doctor.examination.examine", lambda machine: results)
    assert main(["doctor"]) == code
    shown = capsys.readouterr().out
    assert shown.endswith(f"{last}\n")
    if FAULT in results:
        assert "  settings: mend it\n      openrtc.toml:3\n" in shown


@pytest.mark.parametrize("arguments", [["--port", "abc"], ["--config", "none.toml"]])
def test_a_mistake_on_the_command_line_is_no_finding(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("openrtc.doctor.examination.examine", lambda machine: ALL_IS_WELL)
    assert main(["doctor", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"openrtc: {arguments[0]}: ")


def test_where_a_requirement_is_missing_the_rest_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(machine: object) -> None:
        raise ModuleNotFoundError("No module named 'pluggy'", name="pluggy")

    monkeypatch.delenv("COLUMNS", raising=False)  # where it is set, lines are folded
    monkeypatch.setattr("openrtc.doctor.examination.examine", fail)
    assert main(["doctor"]) == 1
    assert "No module named 'pluggy'" in capsys.readouterr().out
