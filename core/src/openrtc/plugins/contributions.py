"""What a loaded plugin contributes: resources, providers, routers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openrtc.plugins.fault import Fault, place_of
from openrtc.plugins.hook_check import hook_functions, is_first
from openrtc.plugins.importing import guarded
from openrtc.plugins.loaded import LoadedPlugin
from openrtc.resources.spec import ResourceSpec


@dataclass(frozen=True, slots=True)
class Contributions:
    """What a plugin contributes.

    Args:
        resources: Keys of its resources.
        providers: Schemes of its models.
        router: Whether it routes calls.
        tryfirst: Whether its router is asked before the built-in rules.
        fault: Why one of its hooks fails, else None.
    """

    resources: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    router: bool = False
    tryfirst: bool = False
    fault: Fault | None = None


def contributions_of(plugin: LoadedPlugin) -> Contributions:
    """Call the plugin's ``openrtc_resources`` and ``openrtc_providers`` under a guard; loads no resource."""
    if plugin.target is None:
        return Contributions()
    resources = guarded(plugin.entry, lambda: _resource_keys(plugin.target))
    providers = guarded(plugin.entry, lambda: _schemes(plugin.target))
    return Contributions(
        resources=resources.value or (),
        providers=providers.value or (),
        router="openrtc_route" in plugin.hooks,
        tryfirst=is_first(plugin.target, "openrtc_route"),
        fault=resources.fault or providers.fault,
    )


def _resource_keys(target: object) -> tuple[str, ...]:
    keys: list[str] = []
    for function in hook_functions(target, "openrtc_resources"):
        result = function()
        specs = list(result) if isinstance(result, Iterable) else [result]
        wrong = [spec for spec in specs if not isinstance(spec, ResourceSpec)]
        if wrong:
            reason = f"openrtc_resources gave {type(wrong[0]).__name__}, not a ResourceSpec"
            raise Fault(reason, "return [ResourceSpec(key=…, load=…)]", place_of(function))
        keys += [spec.key for spec in specs]
    return tuple(keys)


def _schemes(target: object) -> tuple[str, ...]:
    schemes: list[str] = []
    for function in hook_functions(target, "openrtc_providers"):
        result = function()
        if not isinstance(result, Mapping):
            reason = f"openrtc_providers gave {type(result).__name__}, not a mapping"
            raise Fault(reason, 'return {"scheme": provider}', place_of(function))
        schemes += [str(scheme) for scheme in result]
    return tuple(schemes)
