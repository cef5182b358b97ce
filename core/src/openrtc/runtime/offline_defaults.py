"""The offline models of openrtc-offline, which are taken on a developer's machine where nobody names others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from openrtc.runtime.providers import OFFLINE_SCHEME
from openrtc.runtime.runtime import Runtime


def with_offline_defaults(runtime: Runtime, **defaults: Any) -> Runtime:
    """Return the runtime with other ``[defaults]``, or as it is where there are no offline models."""
    if runtime.providers.why_unavailable(OFFLINE_SCHEME):
        return runtime
    config = runtime.config
    return replace(runtime, config=replace(config, defaults=replace(config.defaults, **defaults)))
