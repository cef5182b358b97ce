from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from functools import partial
from typing import TYPE_CHECKING

import pytest

from e2e.worker_template import worker_template

pytestmark = pytest.mark.process

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site

KEYS = {
    "name",
    "state",
    "distribution",
    "version",
    "entry_point",
    "summary",
    "reason",
    "fix",
    "location",
    "load_ms",
}
NOISY = """
import atexit, ctypes, os, sys
print("noise on stdout")
sys.__stdout__.write("noise past the redirection")
os.write(1, b"noise on the descriptor")
ctypes.CDLL(None).puts(b"noise of C")
os.system("echo noise of a child")
atexit.register(print, "noise at exit")
atexit.register(os.write, 1, b"noise at exit on the descriptor")
"""


def test_json_has_every_key_and_nothing_is_imported(site: Site) -> None:
    site.add(
        "my-agent",
        agents={"helpdesk": "my_mod:Support", "desk": "my_mod"},
        plugins={"vip": "my_mod:vip"},
        files={"my_mod.py": "raise SystemExit('imported')"},
        summary="Answers the phone",
        version="2.3",
    )
    rows = site.agents()
    assert set(rows) == {"helpdesk", "desk"}
    assert set(rows["helpdesk"]) >= KEYS
    assert rows["helpdesk"] | {"kind": ""} == {
        "name": "helpdesk",
        "state": "installed",
        "distribution": "my-agent",
        "version": "2.3",
        "entry_point": "my_mod:Support",
        "kind": "",
        "summary": "Answers the phone",
        "reason": None,
        "fix": None,
        "location": None,
        "load_ms": None,
        "notes": [],
        "lacks": [],
        "metadata_schema": None,
        "isolation": None,
    }
    assert (rows["helpdesk"]["kind"], rows["desk"]["kind"]) == ("agent", "hook-module")


def test_a_list_without_load_imports_no_agent_no_plugin_and_no_livekit(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_RUNTIME_DIR", "TMPDIR"):  # where no worker runs
        monkeypatch.setenv(name, str(tmp_path))
    marker = site.work / "imported"
    site.add(
        "my-agent",
        agents={"helpdesk": "my_mod:Support"},
        plugins={"vip": "my_mod"},
        files={"my_mod.py": f"open({str(marker)!r}, 'w')"},
    )
    code = """
import sys
from openrtc.cli.main import main
main(["list-agents"])
slow = ("livekit", "my_mod", "pluggy", "importlib_metadata", "packaging", "socket", "shutil")
print([name for name in sys.modules if name.split(".")[0] in slow])
"""
    result = site.python("-c", code)
    assert result.stdout.splitlines()[-1] == "[]"
    assert "helpdesk" in result.stdout
    assert not marker.exists()


def test_load_tells_which_agents_work(site: Site, agent_source: str) -> None:
    site.add("good", agents={"good": "good_mod:Support"}, files={"good_mod.py": f"{NOISY}\n{agent_source}"})
    site.add("exits", agents={"exits": "exit_mod:X"}, files={"exit_mod.py": "import os; os._exit(0)"})
    site.add("gone", agents={"gone": "gone_mod:X"})
    rows = site.agents("--load", site.only)
    assert {name: row["state"] for name, row in rows.items()} == {"good": "ready", "exits": "broken", "gone": "broken"}
    assert rows["good"]["load_ms"] > 0
    assert rows["good"]["summary"] == "Answers questions about orders."
    assert "os._exit" not in (rows["good"]["reason"] or "")
    assert "os._exit(0)" in rows["exits"]["reason"]
    assert all(row["fix"] and row["location"] for name, row in rows.items() if name != "good")


def test_the_agents_of_a_hook_module_appear_with_load(site: Site) -> None:
    source = """
        from openrtc import AgentSpec, hookimpl
        async def run(ctx): ...
        @hookimpl
        def openrtc_agents():
            return [AgentSpec(name=name, entrypoint=run) for name in ("tim", "chris")]
    """
    site.add("desk", agents={"desk": "desk_mod"}, files={"desk_mod.py": source})
    site.add("other", agents={"tim": "other_mod"}, files={"other_mod.py": source.replace('"chris"', '"zoe"')})
    assert set(site.agents()) == {"desk", "tim"}
    rows = site.agents("--load", site.only)
    assert {name: row["state"] for name, row in rows.items()} == {"tim": "conflict", "chris": "ready", "zoe": "ready"}
    assert site.agents("--load", site.only, "--prefer", "tim=other")["chris"]["state"] == "ready"


def test_strict_fails_when_an_agent_is_not_usable_and_says_which(site: Site) -> None:
    site.add("good", agents={"good": "m:C"})
    assert site.run("list-agents", "--strict").returncode == 0
    site.add("bad", agents={"bad": "m:C"}, requires=["no-such-thing-at-all"])
    result = site.run("list-agents", "--strict", "--json")
    assert result.returncode == 1
    assert result.stderr == "openrtc: not usable: bad (incompatible)\n"
    assert json.loads(result.stdout)["schema_version"] == 1
    assert site.run("list-agents", "--json").returncode == 0


def test_strict_leaves_out_what_the_operator_has_switched_off(site: Site) -> None:
    site.add("first", agents={"mine": "m:C"})
    site.add("second", agents={"mine": "m:C"})
    assert site.run("list-agents", "--strict").returncode == 1
    assert site.run("list-agents", "--strict", "--prefer", "mine=first").returncode == 0
    assert site.run("list-agents", "--strict", "--deny", "second").returncode == 0
    assert site.run("list-agents", "--strict", "--allow", "second").returncode == 0


def test_every_kind_of_bad_package_at_once_crashes_nothing(site: Site, agent_source: str) -> None:
    site.add("b-utf", entry_points=b"[openrtc.agents]\nutf = m:C\n\xff")
    site.add("b-line", entry_points="[openrtc.agents]\nnonsense\n = x\nq =\n")
    site.add("b-meta", agents={"meta": "m:C"}, metadata=None)
    site.add("b-req", agents={"req": "m:C"}, requires=[">>>"])
    site.add("b-old", agents={"old": "m:C"}, requires=["livekit-agents<1"])
    site.add("b-plug", plugins={"plug": "gone_plug"}, entry_points=b"[openrtc.plugins]\nplug =\n")
    for number, source in enumerate(["1/0", "import sys; sys.exit()", "def f(: ", "import nothing_here", "X = 1"]):
        site.add(f"b-src-{number}", agents={f"src-{number}": f"src_{number}"}, files={f"src_{number}.py": source})
    site.add("good", agents={"good": "good_mod:Support"}, files={"good_mod.py": agent_source})
    rows = site.agents("--load", site.only)
    states = {name: row["state"] for name, row in rows.items()}
    assert states.pop("good") == "ready"
    assert states.pop("old") == "incompatible"
    assert set(states.values()) == {"broken"}
    assert all(row["reason"] and row["fix"] for name, row in rows.items() if name != "good")
    table = site.run("list-agents")
    (warning,) = table.stderr.splitlines()
    assert (table.returncode, warning.partition(" cannot")[0]) == (0, 'openrtc: warning: b-req: requirement ">>>"')
    assert "see openrtc plugins" in table.stdout
    assert site.run("plugins").returncode == 0


def test_in_a_pipe_rows_are_whole_and_without_colour(site: Site) -> None:
    site.add("bad", agents={"bad": "m:C"}, requires=["no-such-thing-at-all>=1.2.3"], summary="s" * 150)
    site.add("fine", agents={"fine": "m:C"}, summary="words " * 30)
    text = site.run("list-agents", env={"TERM": "xterm-256color"}).stdout
    assert "\x1b" not in text
    assert "needs no-such-thing-at-all>=1.2.3, which is not installed" in text
    assert "bad: pip install 'no-such-thing-at-all>=1.2.3'" in text
    assert ("words " * 30).strip() in text


def on_terminal(site: Site, columns: int) -> str:
    """Run the command on a terminal of so many columns and return what it printed."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = [sys.executable, "-m", "openrtc", "list-agents"]
    env = site.environment({"TERM": "xterm"})
    child = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=env, cwd=site.work)
    os.close(follower)
    text = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    child.wait(20)
    os.close(leader)
    return text.decode()


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_nothing_is_cut_off(site: Site, columns: int) -> None:
    site.add("rather-long-distribution-name", agents={"helpdesk": "m:C"}, summary=" ".join(f"w{n}" for n in range(40)))
    site.add("bad", agents={"bad": "m:C"}, requires=["no-such-thing-at-all>=1.2.3"])
    text = on_terminal(site, columns)
    assert "…" not in text
    assert all(f"w{n}" in text for n in range(40))
    assert "bad\x1b[0m: pip install 'no-such-thing-at-all>=1.2.3'" in text
    table = text.split("How to fix")[0]
    plain = [line for line in table.replace("\r", "").split("\n") if "\x1b" not in line]
    assert max(map(len, plain)) <= columns


def test_markup_in_metadata_is_shown_as_it_is(site: Site) -> None:
    site.add("odd", agents={"odd": "m:C"}, summary="[red]not a colour[/red] [link]")
    assert "[red]not a colour[/red] [link]" in site.run("list-agents").stdout


def test_without_agents_the_way_to_one_is_shown(site: Site) -> None:
    result = site.run("list-agents", "--allow", "nobody-at-all")
    if "No agent is installed." in result.stdout:
        assert "pip install" in result.stdout
        assert '[project.entry-points."openrtc.agents"]' in result.stdout
    assert result.returncode == 0


def test_a_name_in_the_policy_that_matches_nothing_is_a_warning(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"})
    result = site.run("list-agents", "--json", "--deny", "my-agnt")
    assert result.returncode == 0
    assert result.stderr == (
        'openrtc: warning: --deny: [plugins] deny names the distribution "my-agnt", '
        'which brings no installed agent or plugin (did you mean "my-agent"?)\n'
    )
    assert json.loads(result.stdout)


def test_stdout_and_stderr_may_be_closed(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"})
    shell = f"{sys.executable} -m openrtc list-agents --json 2>&-"
    run = subprocess.run(["bash", "-c", shell], env=site.environment(), cwd=site.work, capture_output=True, check=False)
    assert json.loads(run.stdout)["schema_version"] == 1


def test_an_isolation_that_a_package_asks_for_or_the_operator_sets_is_shown(site: Site) -> None:
    source = "from livekit.agents import Agent\n\nclass Slow(Agent):\n    openrtc_isolation = 'process'\n"
    source += "    def __init__(self):\n        super().__init__(instructions='x')\n"
    site.add("my-agent", agents={"slow": "slow_mod:Slow", "forced": "slow_mod:Slow"}, files={"slow_mod.py": source})
    (site.work / "openrtc.toml").write_text('[isolation]\nforced = "thread"\n', encoding="utf-8")
    assert {name: row["isolation"] for name, row in site.agents().items()} == {"slow": None, "forced": "thread"}
    assert {name: row["isolation"] for name, row in site.agents("--load", site.only).items()} == {
        "slow": "process",
        "forced": "thread",
    }
    assert "(isolation: process)" in site.run("list-agents", "--load", site.only).stdout
    route = partial(site.fork, worker_template(), "-m", "openrtc", "route", "--room", "forced-1", site.only)
    assert json.loads(route("--json").stdout)["isolation"] == "thread"
    assert "isolation: thread" in route().stdout
