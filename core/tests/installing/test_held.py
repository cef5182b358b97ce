from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from openrtc.installing.held import find_held, find_unmet_by

if TYPE_CHECKING:
    from conftest import Site


def test_the_core_and_what_it_requires_keep_their_versions_and_the_rest_its_bounds() -> None:
    held = find_held()
    assert {"openrtc-core", "livekit-agents", "pluggy"} <= held.versions.keys()
    assert f"pluggy=={held.versions['pluggy']}" in held.constraints
    # What livekit-agents requires is held only as far as it asks.
    assert "livekit" in held.needed
    assert "livekit" not in held.versions
    assert all(Requirement(line).specifier for line in held.constraints)


def test_who_needs_another_version_is_found(site: Site) -> None:
    site.add("my-helper", version="1.0")
    site.add("my-agent", requires=["my-helper<2", "absent>=3", 'my-helper>5; extra == "x"', "not readable !"])
    assert list(find_unmet_by({"my-helper": "1.5", "absent": "3"})) == []
    for version in ("2.0", None):
        ((one, needed),) = find_unmet_by({"my-helper": version})
        assert (one.key, needed) == ("my-agent", "my-helper<2")
    assert list(find_unmet_by({"my-helper": None, "my-agent": None})) == []
