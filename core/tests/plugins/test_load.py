from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from openrtc.model.status import State
from openrtc.plugins.load import load_plugins
from openrtc.settings.config import Config

if TYPE_CHECKING:
    from conftest import Site

CheckBroken = Callable[..., None]

ROUTER = """
from openrtc import hookimpl

@hookimpl
def openrtc_route(request, agents):
    return None
"""


def test_load_plugins_imports_hook_modules_and_no_agent_entry(site: Site) -> None:
    site.add("pkg-a", agents={"helpdesk": "pkg_a:Support"}, files={"pkg_a.py": "raise SystemExit"})
    site.add("pkg-p", plugins={"vip": "pkg_p"}, files={"pkg_p.py": ROUTER})
    loaded = load_plugins(site.entries(), Config())
    assert [(found.name, found.state) for found in loaded.agents] == [("helpdesk", State.INSTALLED)]
    assert [found.state for found in loaded.plugins] == [State.READY]
