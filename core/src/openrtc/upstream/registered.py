"""What an `AgentServer` or ``WorkerOptions`` of a package was given.

It is read, and never run: OpenRTC has a worker of its own. Nothing here imports livekit, so that this is also there
where no package uses it; what livekit-agents has put in by itself is known by its module.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_KEPT_AS = {"multiprocessing_context": "_mp_ctx_str"}
"""Where an `AgentServer` keeps an argument of its constructor, if not under the argument's own name."""
_CALLBACKS = {
    "prewarm_fnc": "prewarm",
    "request_fnc": "on_request",
    "entrypoint_fnc": "entrypoint",
}
"""What ``WorkerOptions`` call what `read_server` calls otherwise."""
_VARIABLES = {
    "ws_url": ("LIVEKIT_URL",),
    "api_key": ("LIVEKIT_API_KEY",),
    "api_secret": ("LIVEKIT_API_SECRET",),
    "http_proxy": ("HTTPS_PROXY", "HTTP_PROXY"),
}
"""Where livekit-agents takes an argument from that is not given."""
_REGISTRATION = {"permissions": "permissions", "worker_type": "type", "server_type": "type"}
"""What a registration of its own needs, by the names of the constructors, and what `rtc_session` or they call it."""
_NAME_VARIABLES = ("LIVEKIT_AGENT_NAME_OVERRIDE", "LIVEKIT_AGENT_NAME")


def read_server(server: Any) -> dict[str, Any]:
    """Return what was registered with an `AgentServer`.

    Its callbacks; its ``agent_name``, empty where that is only the operator's; its ``registration``, what it says of
    ``type`` and ``permissions``; and under ``unused`` the names of what else it was given.

    Args:
        server: An `AgentServer`, of a livekit-agents whose part ``registered`` is known.
    """
    given = {
        "entrypoint": server._entrypoint_fnc,
        "prewarm": server._setup_fnc,
        "on_request": server._request_fnc,
        "on_session_end": server._session_end_fnc,
        "on_simulation_end": server._simulation_end_fnc,
    }
    kept = {name: getattr(server, _KEPT_AS.get(name, f"_{name}"), None) for name in _find_defaults(type(server))}
    own_name = server._agent_name not in map(os.environ.get, _NAME_VARIABLES)
    kept |= {"agent_name": server._agent_name if own_name else "", "server_type": server._server_type}
    callbacks = {name: _own(value) for name, value in given.items()}
    return callbacks | _sort(kept, {**_find_defaults(type(server)), "server_type": type(server._server_type).ROOM})


def read_options(options: Any) -> dict[str, Any]:
    """Return of ``WorkerOptions`` what `read_server` returns of a server.

    Args:
        options: ``WorkerOptions``, which is a dataclass.
    """
    return read_named_options(
        {one.name: getattr(options, one.name) for one in dataclasses.fields(options)}, type(options)
    )


def read_named_options(given: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """Return what `read_options` returns, of arguments of ``WorkerOptions`` by their names.

    Args:
        given: The arguments; what is not given has its default.
        kind: The class ``WorkerOptions``.
    """
    callbacks = {ours: _own(given.get(theirs)) for theirs, ours in _CALLBACKS.items()}
    others = {name: value for name, value in given.items() if name not in _CALLBACKS}
    defaults = {one.name: _default_of(one) for one in dataclasses.fields(kind)}
    return callbacks | _sort(others, defaults)


def _sort(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``agent_name``, ``registration`` and ``unused`` of what was given besides callbacks."""
    said = list(_find_other_than_default(given, defaults))
    registration = {ours: given[name] for name, ours in _REGISTRATION.items() if name in said}
    unused = [name for name in said if name != "agent_name" and name not in _REGISTRATION]
    return {"agent_name": str(given.get("agent_name") or ""), "registration": registration, "unused": unused}


def _own(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Return a function that is the package's, None for livekit-agents' own default."""
    return None if (getattr(function, "__module__", None) or "").startswith("livekit.") else function


def _default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _find_defaults(kind: type) -> dict[str, Any]:
    parameters = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]  # a class of livekit's
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY and one.name != "setup_fnc"}


def _find_other_than_default(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        by_itself = [os.environ.get(variable) for variable in _VARIABLES.get(name, ())]
        is_default = not value or value == defaults.get(name) or value in by_itself
        if not is_default and (not callable(value) or _own(value)):
            yield name
