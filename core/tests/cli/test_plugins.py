from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

pytestmark = pytest.mark.process

if TYPE_CHECKING:
    from conftest import Site

EVERYTHING = """
import atexit, ctypes, os
print("noise"); os.write(1, b"noise"); ctypes.CDLL(None).puts(b"noise")
atexit.register(os.write, 1, b"noise")

from openrtc import AgentSpec, ResourceSpec, hookimpl

async def run(ctx): ...

@hookimpl
def openrtc_agents(): return [AgentSpec(name="tim", entrypoint=run)]

@hookimpl
def openrtc_resources(): return [ResourceSpec(key="vad", load=exit), ResourceSpec(key="faq", load=exit)]

@hookimpl
def openrtc_providers(): return {"acme": object()}

@hookimpl(tryfirst=True)
def openrtc_route(request, agents): ...

@hookimpl
async def openrtc_session_ended(call): ...
"""


def test_json_tells_what_a_plugin_brings_whatever_it_prints(site: Site) -> None:
    site.add("my-plug", plugins={"all": "plug_mod"}, files={"plug_mod.py": EVERYTHING}, version="3.1", summary="All")
    row = site.plugins()["my-plug:all"]
    assert row["load_ms"] > 0
    del row["load_ms"]
    assert row == {
        "name": "my-plug:all",
        "state": "ready",
        "distribution": "my-plug",
        "version": "3.1",
        "entry_point": "plug_mod",
        "group": "openrtc.plugins",
        "summary": "All",
        "hooks": [
            "openrtc_agents",
            "openrtc_providers",
            "openrtc_resources",
            "openrtc_route",
            "openrtc_session_ended",
        ],
        "agents": ["tim"],
        "resources": ["vad", "faq"],
        "providers": ["acme"],
        "routers": [{"name": "my-plug:all", "tryfirst": True}],
        "reason": None,
        "fix": None,
        "location": None,
    }


def test_agent_entries_are_not_imported_and_hook_modules_are_listed(site: Site) -> None:
    marker = site.work / "imported"
    site.add("my-agent", agents={"a": "agent_mod:X"}, files={"agent_mod.py": f"open({str(marker)!r}, 'w')"})
    site.add("desk", agents={"desk": "desk_mod"}, files={"desk_mod.py": EVERYTHING})
    assert set(site.plugins()) == {"desk:desk"}
    assert not marker.exists()


def test_livekit_is_not_imported(site: Site) -> None:
    site.add("my-plug", plugins={"all": "plug_mod"}, files={"plug_mod.py": EVERYTHING})
    allow = ["plugins", "--allow", "my-plug"]
    code = f"""
import sys
from openrtc.cli.main import main
main({allow})
print([name for name in sys.modules if name.startswith("livekit")], file=sys.stderr)
"""
    assert site.python("-c", code).stderr.splitlines()[-1] == "[]"


def test_a_broken_plugin_stands_beside_the_others_with_reason_and_fix(site: Site) -> None:
    wrong = "from openrtc import hookimpl\n@hookimpl\ndef openrtc_rout(): ...\n"
    fails = "from openrtc import hookimpl\n@hookimpl\ndef openrtc_resources(): 1 / 0\n"
    odd = "from openrtc import hookimpl\n@hookimpl\ndef openrtc_resources(): return [3]\n"
    for name, source in {"wrong": wrong, "fails": fails, "odd": odd, "exits": "exit()", "good": EVERYTHING}.items():
        site.add(name, plugins={name: f"mod_{name}"}, files={f"mod_{name}.py": source})
    site.add("denied", plugins={"denied": "mod_denied"})
    rows = site.plugins("--deny", "denied")
    assert {name: row["state"] for name, row in rows.items()} == {
        "denied:denied": "disabled",
        "exits:exits": "broken",
        "fails:fails": "broken",
        "good:good": "ready",
        "odd:odd": "broken",
        "wrong:wrong": "broken",
    }
    assert rows["wrong:wrong"]["fix"] == 'did you mean "openrtc_route"?'
    assert "ZeroDivisionError" in rows["fails:fails"]["reason"]
    assert "not a ResourceSpec" in rows["odd:odd"]["reason"]
    assert rows["fails:fails"]["location"].endswith("mod_fails.py:3")


def test_the_table_tells_the_same(site: Site) -> None:
    site.add("my-plug", plugins={"all": "plug_mod"}, files={"plug_mod.py": EVERYTHING.replace("print", "len")})
    site.add("gone", plugins={"gone": "mod_gone"})
    result = site.run("plugins", "--allow", "my-plug,gone")
    assert result.returncode == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if "my-plug:all" in line)
    for words in (
        "ready",
        "agents: tim",
        "resources: vad, faq",
        "providers: acme",
        "tryfirst",
        "hooks: session_ended",
    ):
        assert words in line
    assert "gone:gone: " in result.stdout


def test_a_thread_that_a_package_leaves_behind_does_not_hold_the_command_open(site: Site) -> None:
    source = f"import threading, time\nthreading.Thread(target=time.sleep, args=(100,)).start()\n{EVERYTHING}"
    site.add("my-plug", plugins={"all": "plug_mod"}, files={"plug_mod.py": source})
    started = time.monotonic()
    assert site.plugins()["my-plug:all"]["state"] == "ready"
    assert time.monotonic() - started < 20


def test_without_plugins_the_document_is_empty(site: Site) -> None:
    document = json.loads(site.run("plugins", "--json", "--allow", "nobody-at-all").stdout)
    assert [row for row in document["plugins"] if row["state"] == "ready"] == []
