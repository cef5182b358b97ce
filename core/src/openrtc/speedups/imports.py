"""Speedup `imports`: what few calls need is imported when something of it is first used, not with livekit-agents.

Some modules of livekit-agents import packages that most agents never use: the SDK of OpenAI for `inference.LLM`, codecs
for models that send compressed audio, what uploads recordings to LiveKit Cloud. Together they take a quarter of the
time of importing livekit-agents, and 37 MB.

While such a module is executed, what it imports of these packages are stand-ins. Whatever is done with one of them,
other than to name it or to derive a class from it, imports the packages and puts the real objects into the module in
their places. There is no digest: a module that does more than that with a stand-in is executed again without (see
`_DeferringLoader`), with one line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import pkgutil
import sys
import threading
import time
from collections.abc import Collection, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, ClassVar

from openrtc.errors import one_line

logger = logging.getLogger("openrtc.worker")

INFERENCE_LLM = "livekit.agents.inference.llm"
UPLOADS = "livekit.agents.telemetry.traces"

_DEFERRED: dict[str, tuple[str, ...]] = {
    INFERENCE_LLM: ("openai", "httpx", "httpx2"),
    UPLOADS: ("requests", "opentelemetry.exporter", "opentelemetry.sdk.metrics"),
    "livekit.agents.utils.codecs.decoder": ("av",),
    "livekit.agents.voice.recorder_io.recorder_io": ("av",),
}
"""By the module that imports them, packages to import later."""


def speed_up_imports(speedups: Collection[str]) -> None:
    """Import what follows, livekit-agents first of all, in less time.

    Args:
        speedups: Some of `openrtc.speedups.registry.SPEEDUPS`.
    """
    # Next to nothing of what is imported is garbage, and the collector would look through all of it again and again.
    gc.disable()
    if "imports" in speedups:
        defer_imports()
        threading.Thread(target=_import_aiohttp, name="import-aiohttp").start()


def _import_aiohttp() -> None:
    # It reads all certificates of the machine, which takes as long as a tenth of livekit-agents, beside other imports.
    with contextlib.suppress(ImportError):  # whoever needs it reports that
        import aiohttp  # noqa: F401 - for its import alone


def finish_imports() -> None:
    """Let the collector run from now on, but keep it off all that is there.

    Without the freeze it waits until garbage is a quarter of everything, and lets each call leave 0.8 MB. What is left
    of importing is not collected before: that takes a tenth of a second, and frees less than can be measured.
    """
    gc.freeze()
    gc.enable()


def defer_imports() -> None:
    """Let livekit-agents, which is imported after this, leave what few calls need for later.

    Does nothing for modules that have been imported.
    """
    waiting = {importer for importer in _DEFERRED if importer not in sys.modules}
    if waiting and not any(isinstance(finder, _ImporterFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ImporterFinder(waiting))


def import_now(importer: str) -> None:
    """Import what one module has left for later.

    Args:
        importer: The module's name.
    """
    module = sys.modules.get(importer)
    for value in vars(module).values() if module else ():
        if _is_stand_in(value):
            value._lazy_packages.load()
            return


class _ImporterFinder(MetaPathFinder):
    """Finds the modules whose imports are deferred.

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
        # What is there already costs nothing more, and whoever has imported it expects the real one.
        deferred = tuple(package for package in _DEFERRED[fullname] if package not in sys.modules)
        if spec is not None and spec.loader is not None and deferred:
            spec.loader = _DeferringLoader(spec.loader, deferred)
        return spec


HEARD_SECONDS = 0.05
"""What calls wait for less than this nobody hears."""


class _DeferringLoader(Loader):
    """Executes such a module among stand-ins.

    Args:
        loader: The module's own.
        deferred: Packages that it is to import later.
    """

    def __init__(self, loader: Loader, deferred: tuple[str, ...]) -> None:
        self._loader = loader
        self._deferred = deferred

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader  # as everybody else expects it
        packages = _LazyPackages(module, self._deferred)
        sys.meta_path.insert(0, packages)
        try:
            self._loader.exec_module(module)
            return
        except Exception as error:  # a livekit-agents that does with a stand-in what it cannot stand for
            failed = error
        finally:
            packages.withdraw()
        self._loader.exec_module(module)
        reason = one_line(f"{type(failed).__name__}: {failed}")
        logger.warning("speedup 'imports' is off for %s of this livekit-agents: %s", module.__name__, reason)


class _LazyPackages(MetaPathFinder, Loader):
    """Stands for packages: finds their modules while the importer is executed, and imports them when one is used.

    Args:
        importer: The module that imports them.
        packages: Their names.
    """

    def __init__(self, importer: ModuleType, packages: tuple[str, ...]) -> None:
        self._importer = importer
        self._packages = packages
        self._lock = threading.RLock()  # calls in threads may use one at once; and importing may use another stand-in
        self._bases: list[type[_LazyBase]] = []
        self.executing = True

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if not any(fullname == package or fullname.startswith(f"{package}.") for package in self._packages):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LazyModule(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute."""

    def withdraw(self) -> None:
        """Let everybody else import the real packages."""
        self.executing = False
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in [name for name, module in sys.modules.items() if _is_stand_in(module)]:
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            if _is_stand_in(getattr(sys.modules.get(parent), child, None)):
                delattr(sys.modules[parent], child)

    def load(self) -> None:
        """Import the packages, and put the real objects where stand-ins are."""
        with self._lock:
            names = vars(self._importer)
            paths = {name: value._lazy_path for name, value in names.items() if _is_stand_in(value)}
            if not paths:
                return
            self.withdraw()
            began = time.monotonic()
            names |= {name: pkgutil.resolve_name(path) for name, path in paths.items()}
            for base in self._bases:
                base.replace_with_real()
            self._warn_if_calls_waited(time.monotonic() - began)

    def resolve(self, path: str) -> Any:
        """Return the real object.

        Args:
            path: Its module and, after a colon, its name there.
        """
        self.load()
        return pkgutil.resolve_name(path)

    def make_base(self, path: str) -> type[_LazyBase]:
        """Return a class to derive others from until the real one is there."""
        self._bases.append(type("_LazyBase", (_LazyBase,), {"lazy_path": path, "lazy_packages": self}))
        return self._bases[-1]

    def _warn_if_calls_waited(self, seconds: float) -> None:
        if seconds < HEARD_SECONDS or not _is_in_call():
            return
        logger.warning(
            "calls have waited %.2f s for what %s imports when it is first used (%s); to import it at the start, leave "
            "'imports' out of the speedups",
            seconds,
            self._importer.__name__,
            ", ".join(package for package in self._packages if package in sys.modules),
        )


def _is_in_call() -> bool:
    """Whether code of a call with somebody in a room runs in the loop of all calls."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # not in a loop: at the start, or in a thread beside it
        return False
    agents = sys.modules.get("livekit.agents")  # which this must not import by itself
    context = agents.get_job_context(required=False) if agents else None
    return context is not None and not context.is_fake_job()


class _LazyBase:
    """What a class is derived from until the real class is there."""

    lazy_path: ClassVar[str]
    lazy_packages: ClassVar[_LazyPackages]

    def __init__(self, *args: Any, **options: Any) -> None:
        self.lazy_packages.resolve(self.lazy_path).__init__(self, *args, **options)

    @classmethod
    def replace_with_real(cls) -> None:
        """Put the real class in the place of this one."""
        real = pkgutil.resolve_name(cls.lazy_path)
        for derived in cls.__subclasses__():
            derived.__bases__ = tuple(real if base is cls else base for base in derived.__bases__)


def _is_stand_in(value: object) -> bool:
    return type(value) in (_LazyModule, _LazyName)


class _LazyModule(ModuleType):
    """Stands for a module of a package."""

    def __init__(self, name: str, packages: _LazyPackages) -> None:
        super().__init__(name)
        self._lazy_path = name
        self._lazy_packages = packages

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by the import system and by `inspect`, of any module
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        path, packages = f"{self._lazy_path}:{name}", self._lazy_packages
        return _LazyName(path, packages) if packages.executing else packages.resolve(path)


class _LazyName:
    """Stands for what a package has under a name; used in any way, it is what it stands for."""

    def __init__(self, path: str, packages: _LazyPackages) -> None:
        self._lazy_path = path
        self._lazy_packages = packages

    @property
    def _lazy_real(self) -> Any:
        return self._lazy_packages.resolve(self._lazy_path)

    def __getattr__(self, name: str) -> Any:
        if self._lazy_packages.executing and not name.startswith("__"):
            return _LazyName(f"{self._lazy_path}.{name}", self._lazy_packages)
        return getattr(self._lazy_real, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._lazy_real(*args, **options)

    def __getitem__(self, item: Any) -> Any:
        return self._lazy_real[item]

    def __or__(self, other: Any) -> Any:
        return self._lazy_real | other

    def __ror__(self, other: Any) -> Any:
        return other | self._lazy_real

    def __eq__(self, other: object) -> bool:
        return bool(self._lazy_real == other)

    def __hash__(self) -> int:
        return hash(self._lazy_real)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._lazy_real)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._lazy_real)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        packages = self._lazy_packages
        return (packages.make_base(self._lazy_path) if packages.executing else self._lazy_real,)
