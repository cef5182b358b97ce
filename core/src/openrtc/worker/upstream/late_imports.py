"""Imports what few calls need when something of it is first used, not with livekit-agents.

Some modules of livekit-agents import packages that most agents never use: the SDK of OpenAI for `inference.LLM`, codecs
for models that send compressed audio, what uploads recordings to LiveKit Cloud. Together they take a quarter of the
time of importing livekit-agents, and 37 MB.

While such a module is executed, what it imports of these packages are stand-ins. Whatever is done with one of them,
other than to name it or to derive a class from it, imports the packages and puts the real objects into the module in
their places.
"""

from __future__ import annotations

import asyncio
import logging
import pkgutil
import sys
import threading
import time
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, ClassVar

from openrtc.errors import one_line

logger = logging.getLogger("openrtc.worker")

INFERENCE_LLM = "livekit.agents.inference.llm"
UPLOADS = "livekit.agents.telemetry.traces"

_LATE: dict[str, tuple[str, ...]] = {
    INFERENCE_LLM: ("openai", "httpx", "httpx2"),
    UPLOADS: ("requests", "opentelemetry.exporter", "opentelemetry.sdk.metrics"),
    "livekit.agents.utils.codecs.decoder": ("av",),
    "livekit.agents.voice.recorder_io.recorder_io": ("av",),
}
"""By the module that imports them, packages to import late."""


def import_late() -> None:
    """Let livekit-agents, which is imported after this, leave what few calls need for later.

    Does nothing for modules that have been imported.
    """
    waiting = {importer for importer in _LATE if importer not in sys.modules}
    if waiting and not any(isinstance(finder, _ImporterFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ImporterFinder(waiting))


def import_now(importer: str) -> None:
    """Import what one module has left for later.

    Args:
        importer: The module's name.
    """
    module = sys.modules.get(importer)
    for value in vars(module).values() if module else ():
        if _stands_in(value):
            value._late_packages.use()
            return


class _ImporterFinder(MetaPathFinder):
    """Finds the modules whose imports are to be late.

    Args:
        waiting: Their names.
    """

    def __init__(self, waiting: set[str]) -> None:
        self._waiting = waiting

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname not in self._waiting:
            return None
        self._waiting.discard(fullname)
        if not self._waiting:
            sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        late = tuple(package for package in _LATE[fullname] if package not in sys.modules)
        if spec is not None and spec.loader is not None and late:
            spec.loader = _ImporterLoader(spec.loader, late)
        return spec


class _ImporterLoader(Loader):
    """Executes such a module among stand-ins.

    Args:
        loader: The module's own.
        late: Packages that it is to import late.
    """

    def __init__(self, loader: Loader, late: tuple[str, ...]) -> None:
        self._loader = loader
        self._late = late

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader  # as everybody else expects it
        packages = _LatePackages(module, self._late)
        sys.meta_path.insert(0, packages)
        try:
            self._loader.exec_module(module)
            return
        except Exception as error:  # a livekit-agents that does with a stand-in what it cannot stand for
            failed = error
        finally:
            packages.withdraw()
        self._loader.exec_module(module)
        said = f"{type(failed).__name__}: {failed}"
        logger.warning("speedup 'imports' is off for %s of this livekit-agents: %s", module.__name__, one_line(said))


class _LatePackages(MetaPathFinder, Loader):
    """Stands for packages: finds their modules while the importer is executed, and imports them when one is used.

    Args:
        importer: The module that imports them.
        packages: Their names.
    """

    def __init__(self, importer: ModuleType, packages: tuple[str, ...]) -> None:
        self._importer = importer
        self._packages = packages
        self._lock = threading.RLock()
        self._bases: list[type[_LateBase]] = []
        self.executing = True

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if not any(fullname == package or fullname.startswith(f"{package}.") for package in self._packages):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LateModule(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute."""

    def withdraw(self) -> None:
        """Let everybody else import the real packages."""
        self.executing = False
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in [name for name, module in sys.modules.items() if _stands_in(module)]:
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            if _stands_in(getattr(sys.modules.get(parent), child, None)):
                delattr(sys.modules[parent], child)

    def use(self) -> None:
        """Import the packages, and put the real objects where stand-ins are."""
        with self._lock:
            names = vars(self._importer)
            late = {name: value._late_path for name, value in names.items() if _stands_in(value)}
            if not late:
                return
            self.withdraw()
            began = time.monotonic()
            names |= {name: pkgutil.resolve_name(path) for name, path in late.items()}
            for base in self._bases:
                base.give_way()
            self._tell_if_calls_waited(time.monotonic() - began)

    def real(self, path: str) -> Any:
        """Return the real object.

        Args:
            path: Its module and, after a colon, its name there.
        """
        self.use()
        return pkgutil.resolve_name(path)

    def base(self, path: str) -> type[_LateBase]:
        """Return a class to derive others from until the real one is there."""
        self._bases.append(type("_LateBase", (_LateBase,), {"late_path": path, "late_packages": self}))
        return self._bases[-1]

    def _tell_if_calls_waited(self, seconds: float) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        logger.warning(
            "calls have waited %.2f s for what %s imports when it is first used (%s); to import it at the start, leave "
            "'imports' out of the speedups",
            seconds,
            self._importer.__name__,
            ", ".join(package for package in self._packages if package in sys.modules),
        )


class _LateBase:
    """What a class is derived from until the real class is there."""

    late_path: ClassVar[str]
    late_packages: ClassVar[_LatePackages]

    def __init__(self, *args: Any, **options: Any) -> None:
        self.late_packages.real(self.late_path).__init__(self, *args, **options)

    @classmethod
    def give_way(cls) -> None:
        """Put the real class in the place of this one."""
        real = pkgutil.resolve_name(cls.late_path)
        for derived in cls.__subclasses__():
            derived.__bases__ = tuple(real if base is cls else base for base in derived.__bases__)


def _stands_in(value: object) -> bool:
    return type(value) in (_LateModule, _LateName)


class _LateModule(ModuleType):
    """Stands for a module of a package."""

    def __init__(self, name: str, packages: _LatePackages) -> None:
        super().__init__(name)
        self._late_path = name
        self._late_packages = packages

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        path = f"{self._late_path}:{name}"
        return _LateName(path, self._late_packages) if self._late_packages.executing else self._late_packages.real(path)


class _LateName:
    """Stands for what a package has under a name; used in any way, it is what it stands for."""

    def __init__(self, path: str, packages: _LatePackages) -> None:
        self._late_path = path
        self._late_packages = packages

    @property
    def _late_real(self) -> Any:
        return self._late_packages.real(self._late_path)

    def __getattr__(self, name: str) -> Any:
        if self._late_packages.executing and not name.startswith("__"):
            return _LateName(f"{self._late_path}.{name}", self._late_packages)
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
        packages = self._late_packages
        return (packages.base(self._late_path) if packages.executing else self._late_real,)
