"""Imports the SDK of OpenAI when something of it is first used, not with livekit-agents.

`livekit.agents.inference.llm` imports it for `inference.LLM`, whose requests are OpenAI's. The SDK takes a fifth of the
time of importing livekit-agents, and 12 MB; an agent whose language model is another one never needs it.

While that module is executed, what it imports of the SDK are stand-ins. Whatever is done with one of them, other than
to name it, imports the SDK and puts the real objects into the module in their places.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import pkgutil
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

logger = logging.getLogger("openrtc.worker")

SDK = "openai"
IMPORTER = "livekit.agents.inference.llm"


def import_openai_late() -> None:
    """Let livekit-agents, which is imported after this, leave the SDK of OpenAI for later.

    Does nothing where either has been imported.
    """
    if IMPORTER not in sys.modules and SDK not in sys.modules:
        sys.meta_path.insert(0, _ImporterFinder())


def import_openai_now() -> None:
    """Import the SDK, if that was left for later."""
    importer = sys.modules.get(IMPORTER)
    for value in vars(importer).values() if importer else ():
        if _stands_in(value):
            value._late_sdk.use()
            return


class _ImporterFinder(MetaPathFinder):
    """Finds the one module whose import of the SDK is to be late."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname != IMPORTER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None and SDK not in sys.modules:
            spec.loader = _ImporterLoader(spec.loader)
        return spec


class _ImporterLoader(Loader):
    """Executes that module among stand-ins."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader  # as everybody else expects it
        sdk = _LateSdk(module)
        sys.meta_path.insert(0, sdk)
        try:
            self._loader.exec_module(module)
        finally:
            sdk.withdraw()


class _LateSdk(MetaPathFinder, Loader):
    """Stands for the SDK: finds its modules while the importer is executed, and imports it for good when it is used.

    Args:
        importer: The module that imports it.
    """

    def __init__(self, importer: ModuleType) -> None:
        self._importer = importer
        self._lock = threading.RLock()
        self.executing = True

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname.partition(".")[0] != SDK:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LateModule(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute."""

    def withdraw(self) -> None:
        """Let everybody else import the real SDK."""
        self.executing = False
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in [name for name, module in sys.modules.items() if _stands_in(module)]:
            del sys.modules[name]

    def use(self) -> None:
        """Import the SDK, and put the real objects where stand-ins are."""
        with self._lock:
            names = vars(self._importer)
            late = {name: value._late_path for name, value in names.items() if _stands_in(value)}
            if not late:
                return
            self.withdraw()
            _tell_if_calls_wait()
            names |= {name: pkgutil.resolve_name(path) for name, path in late.items()}

    def real(self, path: str) -> Any:
        """Return the real object.

        Args:
            path: Its module and, after a colon, its name there.
        """
        self.use()
        return pkgutil.resolve_name(path)


def _stands_in(value: object) -> bool:
    return type(value) in (_LateModule, _LateName)


def _tell_if_calls_wait() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    logger.warning(
        "inference.LLM of livekit-agents is used first now: calls wait while its SDK is imported; to import it at the "
        "start, leave 'imports' out of the speedups"
    )


class _LateModule(ModuleType):
    """Stands for a module of the SDK."""

    def __init__(self, name: str, sdk: _LateSdk) -> None:
        super().__init__(name)
        self._late_path = name
        self._late_sdk = sdk

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        path = f"{self._late_path}:{name}"
        return _LateName(path, self._late_sdk) if self._late_sdk.executing else self._late_sdk.real(path)


class _LateName:
    """Stands for what the SDK has under a name; used in any way, it is what it stands for."""

    def __init__(self, path: str, sdk: _LateSdk) -> None:
        self._late_path = path
        self._late_sdk = sdk

    @property
    def _late_real(self) -> Any:
        return self._late_sdk.real(self._late_path)

    def __getattr__(self, name: str) -> Any:
        if self._late_sdk.executing and not name.startswith("__"):
            return _LateName(f"{self._late_path}.{name}", self._late_sdk)
        return getattr(self._late_real, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._late_real(*args, **options)

    def __getitem__(self, item: Any) -> Any:
        return self._late_real[item]

    def __or__(self, other: Any) -> Any:
        return self._late_real | other

    def __ror__(self, other: Any) -> Any:
        return other | self._late_real

    def __eq__(self, other: object) -> bool:
        return bool(self._late_real == other)

    def __hash__(self) -> int:
        return hash(self._late_real)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._late_real)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._late_real)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._late_real,)
