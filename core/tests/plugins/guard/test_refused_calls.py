from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from openrtc.plugins.guard import refused_calls
from openrtc.plugins.guard.refused_calls import PROGRAM, REFUSED, watch_calls

if TYPE_CHECKING:
    from conftest import Site

CheckBroken = Callable[..., None]
NAMES = [f"{module}:{path}" for module, paths in REFUSED.items() for path in paths if module.startswith("livekit.")]


@pytest.mark.parametrize("name", NAMES)
def test_a_program_of_the_installed_livekit_agents_is_watched(name: str) -> None:
    importlib.import_module(name.partition(":")[0])
    watch_calls(print)
    watched = pkgutil.resolve_name(name)
    assert "openrtc_watched" in vars(watched)
    watch_calls(print)
    assert pkgutil.resolve_name(name) is watched, "and once only"


def test_what_another_livekit_agents_does_not_have_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        refused_calls, "REFUSED", {"json": dict.fromkeys(("run_app", "JSONEncoder.run", "A.b"), PROGRAM)}
    )
    watch_calls(print)


@pytest.mark.process
def test_programs_are_watched_in_modules_that_are_imported_later() -> None:
    source = f"""
import importlib, pkgutil, sys
from openrtc.plugins.guard.refused_calls import watch_calls
watch_calls(print)
assert not any(name.startswith("livekit") for name in sys.modules)
for name in {NAMES}:
    module = importlib.import_module(name.partition(":")[0])
    assert type(module.__loader__).__name__ == type(module.__spec__.loader).__name__ == "SourceFileLoader"
    assert "openrtc_watched" in vars(pkgutil.resolve_name(name)), name
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["gevent.monkey:patch_all", "gevent.monkey:patch_thread", "eventlet:monkey_patch"])
def test_what_breaks_asyncio_is_refused_before_it_is_done(
    site: Site, check_broken: CheckBroken, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module, _, function = name.partition(":")
    for one in (module, module.partition(".")[0]):
        monkeypatch.delitem(sys.modules, one, raising=False)
    source = f"def {function}(**options): open('done', 'w').close()\n"
    site.add("stand-in", files={f"{module.partition('.')[0]}/__init__.py": source, "gevent/monkey.py": source})
    found = site.agent(f"from {module} import {function}\n{function}()")
    check_broken(found, rf"{function}\(\) would replace threads and sockets", "calls run in asyncio", "pkg_a.py:2")
