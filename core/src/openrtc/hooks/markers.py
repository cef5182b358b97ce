"""The pluggy markers of the project ``openrtc``."""

from __future__ import annotations

import pluggy

PROJECT = "openrtc"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
