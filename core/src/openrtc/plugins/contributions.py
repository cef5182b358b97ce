"""What a loaded plugin contributes: resources, providers, routers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openrtc.catalog.loaded import LoadedPlugin
from openrtc.model.resource import ResourceSpec
from openrtc.model.status import Status
from openrtc.plugins.fault import Fault
from openrtc.plugins.hook_check import asks_to_be_first, find_hook_functions
from openrtc.plugins.importing import run_guarded


@dataclass(frozen=True, slots=True)
class Contributions:
    """What a plugin contributes.

    Args:
        resources: Keys of its resources.
        providers: Schemes of its models.
        router: Whether it routes calls.
        tryfirst: Whether its router is asked before the built-in rules.
        failure: Why one of its hooks fails, else None.
    """

    resources: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    router: bool = False
    tryfirst: bool = False
    failure: Status | None = None


def collect_contributions(plugin: LoadedPlugin) -> Contributions:
    """Call the plugin's ``openrtc_resources`` and ``openrtc_providers`` under a guard; loads no resource."""
    if plugin.target is None:
        return Contributions()
    resources = run_guarded(plugin.entry, lambda: _collect_keys(plugin.target), "openrtc_resources")
    providers = run_guarded(plugin.entry, lambda: _collect_schemes(plugin.target), "openrtc_providers")
    return Contributions(
        resources=resources.value or (),
        providers=providers.value or (),
        router=bool(find_hook_functions(plugin.target, "openrtc_route")),
        tryfirst=asks_to_be_first(plugin.target, "openrtc_route"),
        failure=resources.failure or providers.failure,
    )


def _collect_keys(target: object) -> tuple[str, ...]:
    keys: list[str] = []
    for function in find_hook_functions(target, "openrtc_resources"):
        result = function()
        specs = list(result) if isinstance(result, Iterable) else [result]
        wrong = [spec for spec in specs if not isinstance(spec, ResourceSpec)]
        if wrong:
            reason = f"openrtc_resources gave {type(wrong[0]).__name__}, not a ResourceSpec"
            raise Fault(reason, "return [ResourceSpec(key=…, load=…)]", at=function)
        keys += [spec.key for spec in specs]
    return tuple(keys)


def _collect_schemes(target: object) -> tuple[str, ...]:
    schemes: list[str] = []
    for function in find_hook_functions(target, "openrtc_providers"):
        result = function()
        if not isinstance(result, Mapping):
            reason = f"openrtc_providers gave {type(result).__name__}, not a mapping"
            raise Fault(reason, 'return {"scheme": provider}', at=function)
        schemes += [str(scheme) for scheme in result]
    return tuple(schemes)
