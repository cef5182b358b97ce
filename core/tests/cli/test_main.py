from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from openrtc.cli.commands import COMMANDS
from openrtc.cli.main import main

if TYPE_CHECKING:
    from conftest import Site

WATCH = """
import sys
from openrtc.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
heavy = [n for n in sys.modules if n.split(".")[0] in {names!r}]
print("HEAVY", sorted(heavy), file=sys.stderr)
"""


def imported(site: Site, *arguments: str, names: tuple[str, ...]) -> str:
    result = site.python("-c", WATCH.format(arguments=list(arguments), names=names))
    return result.stderr.rpartition("HEAVY ")[2].strip()


@pytest.mark.process
def test_the_version_is_printed_with_livekits() -> None:
    result = subprocess.run([sys.executable, "-m", "openrtc", "--version"], capture_output=True, text=True, check=True)
    ours, theirs = result.stdout.splitlines()
    assert ours.startswith("openrtc-core ")
    assert theirs.startswith("livekit-agents 1.")


def test_help_names_every_command_and_each_has_its_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n    {name} " in text
        assert find_spec(f"openrtc.cli.{name.replace('-', '_')}"), name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert "--config" in capsys.readouterr().out


@pytest.mark.process
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_and_version_import_nothing_heavy(site: Site, arguments: list[str]) -> None:
    assert imported(site, *arguments, names=("livekit", "rich", "pluggy", "asyncio", "packaging")) == "[]"


@pytest.mark.process
def test_a_command_imports_no_other_commands_module(site: Site) -> None:
    assert imported(site, "list-agents", "--json", names=("livekit", "rich", "pluggy", "asyncio")) == "[]"


def test_an_unknown_command_is_one_line_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list-agent"]) == 2
    told = capsys.readouterr().err
    assert told == 'openrtc: there is no command "list-agent" (did you mean "list-agents"?)\n'


@pytest.mark.process
def test_a_users_mistake_is_one_line_and_exit_code_2(site: Site) -> None:
    result = site.run("list-agents", "--config", "missing.toml")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "openrtc: --config: no such file: missing.toml (name an existing settings file)\n"


@pytest.mark.process
def test_common_options_stand_before_or_after_the_command(site: Site) -> None:
    site.add("my-agent", agents={"mine": "m:C"})
    for arguments in (("--deny", "my-agent", "list-agents"), ("list-agents", "--deny=my-agent")):
        assert "disabled" in site.run(*arguments).stdout
    assert "installed" in site.run("list-agents").stdout


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("openrtc.cli.list_agents.run", interrupt)
    assert main(["list-agents"]) == 130


@pytest.mark.process
def test_a_reader_that_goes_away_is_no_traceback(site: Site) -> None:
    for number in range(200):
        site.add(f"agent-{number}", agents={f"agent-{number}": "m:C"}, summary="x" * 200)
    command = f"{sys.executable} -m openrtc list-agents --json | head -c 10"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env=site.environment(),
        cwd=site.work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    assert result.returncode == 141


@pytest.mark.parametrize(("module", "said"), [("livekit.agents.ipc", True), ("my_package", False)])
def test_a_name_of_livekit_that_is_gone_is_one_line(
    module: str, said: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(warn: object) -> None:
        raise ImportError("cannot import name 'ProcPool'", name=module)

    monkeypatch.setattr("openrtc.discovery.own_requirements.check_own_requirements", fail)
    if not said:
        with pytest.raises(ImportError):
            main(["list-agents"])
        return
    assert main(["list-agents"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot import name 'ProcPool' (pip install livekit-agents==1." in line


@pytest.mark.parametrize("command", ["start", "dev"])
def test_nobody_replaces_workers_without_a_supervisor(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--url", "ws://127.0.0.1:1", "--api-key", "k", "--api-secret", "s"]
    assert main([command, *where, "--pick-up", "roll"]) == 2
    told = capsys.readouterr().err
    assert told.startswith('openrtc: --pick-up: pick_up = "roll" needs a supervisor') and told.count("\n") == 1
