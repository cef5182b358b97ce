"""Reads from an agent's source which models it names, and which keys these need; nothing of the package is run.

Only what is certain counts: where the source does not tell, the agent is taken to name every model.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from openrtc.discovery.entries import Entry
from openrtc.model.agents import AgentSpec
from openrtc.plugins.own_sources import ModuleSource, OwnSources, list_names, walk_used

SESSION_MODELS = ("stt", "llm", "tts")

_NAMING = {text: kind for kind in SESSION_MODELS for text in (kind, f"_{kind}", f"{kind}_node")}
"""Names that set a model, or do without it: arguments, properties and nodes of livekit-agents."""
_REALTIME = re.compile(r"realtime|duplex", re.IGNORECASE)
"""A language model that hears and speaks by itself."""
_OWN_SOUND = frozenset({"audio", "AudioFrame", "AudioSource", "capture_frame", "publish_track"})
"""Names that code uses which makes sound by itself: it may mean to do without models."""
_KEY = re.compile(r"\b[A-Z][A-Z0-9_]*_API_KEY\b")
"""A variable that a model's class reads its key from, as its source or its description names it."""
_OTHER_WAYS = re.compile(r"key|token|credential|client|vertex|service|project|base_url", re.IGNORECASE)
"""Arguments by which a model gets what it needs without that variable."""
_SCHEME = re.compile(r"[a-z][a-z0-9_-]*:(?!/).*", re.DOTALL)
"""``scheme:model``, of a plugin of OpenRTC's; every other string is for livekit-agents to resolve."""
_INFERENCE = "livekit.agents.inference."
_PLUGINS = "livekit.plugins."


@dataclass(frozen=True, slots=True)
class ModelUse:
    """Which models an agent names.

    Args:
        named: The kinds, of ``stt``, ``llm`` and ``tts``, that it names, or may name.
        hosted: The models of LiveKit's Cloud that it names: what livekit-agents makes of a string.
        keys: Of each model class that needs a key, its name, and the variables of which one holds the key.
    """

    named: frozenset[str] = frozenset(SESSION_MODELS)
    hosted: tuple[str, ...] = ()
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()


def find_model_use(spec: AgentSpec, entry: Entry | None) -> ModelUse:
    """Return which models an agent names, in its spec and in its source.

    Args:
        spec: How it is built.
        entry: Its entry point; without one its source is not read, and it may name every model.
    """
    options = spec.fixed_session_options
    given = {kind: getattr(spec, kind) or options.get(kind) for kind in SESSION_MODELS}
    hosted = [str(model) for model in given.values() if is_hosted(model)]
    named = {kind for kind in SESSION_MODELS if given[kind]}
    llm = given["llm"]
    if llm is not None and _REALTIME.search(llm if isinstance(llm, str) else type(llm).__name__):
        named |= set(SESSION_MODELS)
    reading = _Reading()
    roots = [one for one in (spec.agent, spec.entrypoint, spec.session_options) if callable(one)]
    roots += [one for one in given.values() if callable(one)]
    if entry is not None and roots:
        sources = OwnSources(entry)
        for source, node in walk_used(sources, roots):
            reading.read(source, node, sources)
    if not reading.is_agent:  # its source cannot be read, or the agent is made by somebody else's code
        named |= set(SESSION_MODELS)
    if spec.entrypoint is not None and named | reading.named:  # one that names some does without the others
        named |= set(SESSION_MODELS)
    hosted = list(dict.fromkeys(hosted + reading.hosted))
    return ModelUse(frozenset(named | reading.named), tuple(hosted), tuple(reading.keys.items()))


def is_hosted(model: Any) -> bool:
    """Whether livekit-agents makes a model of LiveKit's Cloud of what is named."""
    return isinstance(model, str) and bool(model) and not _SCHEME.fullmatch(model)


@dataclass
class _Reading:
    """What was read so far."""

    named: set[str] = field(default_factory=set)
    hosted: list[str] = field(default_factory=list)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_agent: bool = False

    def read(self, source: ModuleSource, node: ast.AST, sources: OwnSources) -> None:
        for one in ast.walk(node):
            if isinstance(one, ast.Call):
                self._read_call(source, one)
            elif isinstance(one, ast.ClassDef):
                self._read_bases(source, one, sources)
            for name in _list_identifiers(one):
                if name in _OWN_SOUND or _REALTIME.search(name):
                    self.named |= set(SESSION_MODELS)
                elif name in _NAMING:
                    self.named.add(_NAMING[name])

    def _read_bases(self, source: ModuleSource, node: ast.ClassDef, sources: OwnSources) -> None:
        for base in node.bases:
            names = list_names(base.value if isinstance(base, ast.Subscript) else base)
            if names and sources.resolve(source, names):
                continue  # it is read as well
            foreign = _find_foreign(source, names) if names else ""
            self.is_agent = self.is_agent or foreign.startswith("livekit.agents")
            if not foreign.startswith(("livekit.agents", "typing", "abc.")):
                self.named |= set(SESSION_MODELS)  # a class of another distribution may name them

    def _read_call(self, source: ModuleSource, call: ast.Call) -> None:
        for keyword in call.keywords:
            if keyword.arg is None:
                self.named |= set(SESSION_MODELS)
            elif (
                keyword.arg in SESSION_MODELS
                and isinstance(value := keyword.value, ast.Constant)
                and is_hosted(value.value)
            ):
                self.hosted.append(str(value.value))
        names = list_names(call.func)
        foreign = _find_foreign(source, names) if names else ""
        if foreign.startswith("livekit.agents") and foreign.endswith((".Agent", ".AgentSession")):
            self.is_agent = True
        elif any(_OTHER_WAYS.search(keyword.arg or "key") for keyword in call.keywords):
            return
        elif foreign.startswith(_INFERENCE) and foreign.endswith((".STT", ".LLM", ".TTS")):
            named = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "model"), None)
            self.hosted.append(str(named.value) if isinstance(named, ast.Constant) else foreign)
        elif foreign.startswith(_PLUGINS) and (variables := _find_keys(foreign)):
            self.keys[foreign.removeprefix(_PLUGINS)] = variables


def _list_identifiers(node: ast.AST) -> Iterator[str]:
    """Yield the names in a node, but for those of nodes within it."""
    if isinstance(node, ast.keyword):
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield node.arg or ""
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name):
        yield node.id if node.id in _OWN_SOUND or _REALTIME.search(node.id) else ""
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        # A key of a dictionary of options, or the name of a realtime model; no sentence of the instructions.
        yield node.value if re.fullmatch(r"[\w./:-]+", node.value) else ""


def _find_foreign(source: ModuleSource, names: list[str]) -> str:
    """Return the dotted path of what names stand for that a module imports from elsewhere; empty for its own."""
    if names[0] not in source.imported:
        return ""
    module, attribute = source.imported[names[0]]
    return ".".join(filter(None, (module, attribute, *names[1:])))


def _find_keys(path: str) -> tuple[str, ...]:
    """Return the variables that a model's class, or the function that makes one, may read its key from."""
    if not any(path.startswith(f"{name}.") for name in sys.modules if name.startswith(_PLUGINS)):
        return ()  # its package is not imported, and nothing is imported for this
    try:
        found: Any = pkgutil.resolve_name(path)
        source = inspect.getsource(vars(found).get("__init__", found) if isinstance(found, type) else found)
    except (ImportError, AttributeError, OSError, TypeError, ValueError):
        return ()
    return tuple(sorted(set(_KEY.findall(source))))
