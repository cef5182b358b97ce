"""`OwnModules`: what a distribution's code imports by name is found among its own files first.

Many agents are a module called ``agent`` with siblings such as ``prompts``: of two in one process, `sys.modules` would
give the first one's code to both. Where Python finds another file under a name than the distribution's own, its own
module stands in a package of its own, ``distribution-NAME.agent``, and its code gets that one: a module has its
built-in functions from its own namespace, and with them the ``__import__`` of all ``import`` statements that ever run
in it, in functions and threads too. Nobody else's imports are any slower. What is found anyway keeps its plain name.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import FrozenImporter, ModuleSpec, PathFinder
from types import FrameType, ModuleType
from typing import Any
from zipimport import zipimporter

from openrtc.discovery.entries import Entry
from openrtc.discovery.metadata_folders import Installed
from openrtc.discovery.own_files import SITE, OwnFiles, find_own_files, is_within, module_of
from openrtc.model.names import normalise_name
from openrtc.observe.package_code import list_current_packages

PACKAGE_PREFIX = "distribution-"
"""How the packages' names begin; no ``import`` statement can name such a module, so that nobody else has it."""
NOBODYS_OWN = frozenset({"livekit", "openrtc", "google", "__main__", *sys.builtin_module_names})
"""Names that are never one distribution's own: name spaces of many, and what Python itself is made of."""
IMPORTERS = ("functools", "importlib", "pkgutil", __name__)
"""Modules that import by name for whoever calls them."""
RUNNERS = ("asyncio", "concurrent.futures", "threading", "openrtc.threads", "openrtc.session.loop_threads")
"""Modules that run what they are given, such as `importlib.import_module` itself: then it is the call that tells."""

_known: dict[str, OwnModules] = {}  # by the name of the package
_owners: dict[str, list[OwnModules]] = {}  # by top-level module, those that have one of this name


def know_distributions(entries: Iterable[Entry]) -> None:
    """Let the code of each entry's distribution find its own modules first, from now on.

    Args:
        entries: Those that will be imported. Of what is in no plain folder, the modules are found as ever.
    """
    for entry in entries:
        name = package_of(entry.distribution)
        known = _known.get(name)
        if not entry.usable or not entry.folder or (known is not None and known.folder == entry.folder):
            continue
        own = _known[name] = OwnModules(entry)
        for top in own.list_names():
            _owners[top] = [*(other for other in _owners.get(top, ()) if other is not known), own]
    if _known and not any(isinstance(finder, _OwnFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OwnFinder())
    importlib.import_module = _import_module
    importlib.util.find_spec = _find_spec


def remember_distributions() -> Callable[[], None]:
    """Return what lets the same distributions be known as now, with the same modules of theirs."""
    known, owners = dict(_known), {top: list(those) for top, those in _owners.items()}
    packages = {name: sys.modules[name] for name in known if name in sys.modules}

    def restore() -> None:
        _known.clear()
        _known.update(known)
        _owners.clear()
        _owners.update(owners)
        sys.modules.update(packages)

    return restore


def forget_distribution(distribution: str) -> None:
    """Look at a distribution's files again when it is made known the next time: it was installed anew."""
    name = package_of(distribution)
    if known := _known.pop(name, None):
        for top in list(_owners):
            _owners[top] = [other for other in _owners[top] if other is not known]
            if not _owners[top]:
                del _owners[top]


def package_of(distribution: str) -> str:
    """Return the name of the package in which a distribution's modules stand that others have too."""
    return PACKAGE_PREFIX + normalise_name(distribution)


def plain_name(module: str) -> str:
    """Return what the code of a module's distribution calls it."""
    return module.partition(".")[2] if module.startswith(PACKAGE_PREFIX) else module


def find_own_modules(entry: Entry) -> OwnModules | None:
    """Return the modules of an entry's distribution, where it has been made known."""
    return _known.get(package_of(entry.distribution)) if entry.folder else None


def list_packages(entry: Entry) -> tuple[str, str]:
    """Return the names under which an entry's code may stand in `sys.modules`."""
    return entry.module, package_of(entry.distribution)


def import_entry_module(entry: Entry) -> ModuleType:
    """Import the module that an entry points into."""
    own = find_own_modules(entry)
    return own.import_module(entry.module) if own else importlib.import_module(entry.module)


def list_own_files() -> dict[str, list[str]]:
    """Return the files of the imported modules of each distribution that was made known, by its name."""
    found: dict[str, list[str]] = {}
    modules: list[object] = list(sys.modules.values())  # a package may have put anything there
    for module in modules:
        namespace = vars(module) if isinstance(module, ModuleType) else {}
        file = namespace.get("__file__")
        if isinstance(file, str) and (own := find_owner(namespace)):
            found.setdefault(own.entry.distribution, []).append(file)
    return found


def imported_name(entry: Entry, module: str = "") -> str:
    """Return under which name an entry's module, or another one of its distribution, stands in `sys.modules`."""
    own, module = find_own_modules(entry), module or entry.module
    return own.name_of(module) if own else module


@contextlib.contextmanager
def keep_path_apart(entry: Entry) -> Iterator[None]:
    """Run an entry's code; what it adds to `sys.path` serves its distribution's imports only, then and later."""
    own = find_own_modules(entry)
    if own is None:
        yield
        return
    with own.watch_path():
        yield


class OwnModules:
    """The modules of one distribution.

    Args:
        entry: One of its entries.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.folder = entry.folder
        self.package = package_of(entry.distribution)
        self._files = _find_files(entry)
        self._added: dict[str, bool] = {}  # what its code has put on the path, and whether before all others
        self._before: Sequence[str] | None = None  # the path, while it is being imported
        self._path: list[str] = []  # the path as it was looked at
        self._apart: dict[str, bool] = {}  # by top-level module, whether the package has it
        self._builtins = {**vars(builtins), "__import__": self._import}
        for stale in [name for name in sys.modules if name.startswith(f"{self.package}.")]:
            del sys.modules[stale]
        module = sys.modules[self.package] = ModuleType(self.package)
        module.__spec__ = ModuleSpec(self.package, None, is_package=True)
        module.__path__ = self._places = list(dict.fromkeys((*self._files.folders, *self._files.names.values())))

    def list_names(self) -> set[str]:
        """Return the top-level modules that it may have."""
        found = {self.package, *self._files.names}
        for folder in self._files.folders:
            with contextlib.suppress(OSError):  # it is gone: nothing is found there
                found.update(map(module_of, os.listdir(folder)))
        return found - NOBODYS_OWN

    def holds(self, path: str) -> bool:
        """Whether a file is its own."""
        return self._files.holds(path) or any(is_within(path, folder) for folder in self._added)

    def list_places(self) -> Iterator[str]:
        """Yield where its files are: folders that are its own, its packages, and the files of its single modules."""
        yield from self._files.folders
        for name, place in self._files.names.items():
            yield os.path.join(place, name)
            yield os.path.join(place, f"{name}.py")

    def name_of(self, module: str) -> str:
        """Return under which name a module that its code asks for stands in `sys.modules`."""
        return f"{self.package}.{module}" if self._is_apart(module.partition(".")[0]) else module

    def import_module(self, module: str, package: str | None = None) -> ModuleType:
        """Import a module as its code does."""
        try:
            return _plain_import_module(self.name_of(module), package)
        except ModuleNotFoundError as error:
            self._give_plain_name(error)
            raise

    def find_spec(self, module: str, package: str | None = None) -> ModuleSpec | None:
        """Find a module as its code does."""
        return _plain_find_spec(self.name_of(module), package)

    @contextlib.contextmanager
    def watch_path(self) -> Iterator[None]:
        """Take what is added to `sys.path` meanwhile off it again, and look into that for this distribution only."""
        outer, before = self._before, list(sys.path)
        self._before = before
        try:
            yield
        finally:
            path: Any = sys.path  # a package may have put anything there
            if not isinstance(path, list):
                sys.path = before
            self._look_at_path()
            self._before = outer
            sys.path[:] = [place for place in sys.path if place in before or place not in self._added]
            self._copy_builtins()

    def adopt(self, spec: ModuleSpec) -> None:
        """Let a module that is to be executed import as its own."""
        loader: Any = spec.loader
        if isinstance(loader, zipimporter) or not hasattr(loader, "exec_module") or not hasattr(loader, "__dict__"):
            return  # it is one for many modules, or compiled: such code imports as ever
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            self._copy_builtins()
            vars(module)["__builtins__"] = self._builtins
            execute(module)

        loader.exec_module = exec_module

    def _copy_builtins(self) -> None:
        """Add what packages have added, as `gettext.install` does."""
        for name in vars(builtins).keys() - self._builtins.keys():
            self._builtins[name] = getattr(builtins, name)

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Stand for `__import__`."""
        # Compiled code, such as pickle's, comes with a list, and then looks for this very name in `sys.modules`.
        if level or type(fromlist) is list or not self._is_apart(name.partition(".")[0]):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        own = f"{self.package}.{name}"
        try:
            module = builtins.__import__(own, globals, locals, fromlist or (), 0)
        except ModuleNotFoundError as error:
            self._give_plain_name(error)
            raise
        return module if fromlist else sys.modules[f"{self.package}.{name.partition('.')[0]}"]

    def _give_plain_name(self, error: ModuleNotFoundError) -> None:
        if error.name and error.name.startswith(f"{self.package}."):
            error.args = tuple(str(part).replace(f"{self.package}.", "") for part in error.args)
            error.name = error.name.removeprefix(f"{self.package}.")

    def _is_apart(self, top: str) -> bool:
        if sys.path != self._path:
            self._look_at_path()
        known = self._apart.get(top)
        if known is None:
            known = self._apart[top] = self._decide(top)
        return known

    def _look_at_path(self) -> None:
        """Note what its code has added: all, while it is imported, and later what is within its own folders."""
        path = self._path = list(sys.path)
        base = [place for place in path if place not in self._added] if self._before is None else self._before
        for place in path:
            if place not in self._added and self._has_added(place, base):
                self._added[place] = any(other in base for other in path[path.index(place) :])
                self._places.append(os.path.abspath(place))
                # What has not been found before may be there.
                self._apart = {top: apart for top, apart in self._apart.items() if apart or top in sys.modules}

    def _has_added(self, place: Any, base: Sequence[str]) -> bool:
        if not isinstance(place, str) or not place or not os.path.isdir(place):
            return False
        path = os.path.abspath(place)
        if self._before is None or place in base:
            return place not in base and self._files.holds(path)
        # A library that is imported first by this distribution may add what all need who use it: `setuptools/_vendor`.
        return self._files.holds(path) or not any(
            os.path.basename(other) in SITE and is_within(path, other) for other in base
        )

    def _decide(self, top: str) -> bool:
        """Return whether a module is its own and another one than Python finds, or has found, under that name."""
        if top in NOBODYS_OWN or FrozenImporter.find_spec(top):
            return False
        place = self._files.names.get(top)
        own = self._find(top, [*self._files.folders, *([place] if place else ())])
        if own is not None:
            return not _finds_the_same(top, own, self._find_plainly(top))
        own = self._find(top, list(self._added))
        return own is not None and self._is_added_first(top, own)

    def _find(self, top: str, places: list[str]) -> ModuleSpec | None:
        return PathFinder.find_spec(f"{self.package}.{top}", places) if places else None

    def _find_plainly(self, top: str) -> ModuleSpec | None:
        """Return what Python has found or would find, without what this distribution has added to the path."""
        if (module := sys.modules.get(top)) is not None:
            return _describe_module(module, top)
        path = [place for place in sys.path if place not in self._added]
        for finder in sys.meta_path:
            if isinstance(finder, _OwnFinder):
                continue
            spec = PathFinder.find_spec(top, path) if finder is PathFinder else _ask(finder, top)
            if spec is not None:
                return spec
        return None

    def _is_added_first(self, top: str, own: ModuleSpec) -> bool:
        """Whether a module is meant that is where its code has put something on the path, as Python would find it."""
        plain = self._find_plainly(top)
        if plain is None:
            return True
        first = top not in sys.modules and any(self._added[place] for place in self._added if _is_in(own, place))
        return (first or _is_anothers(plain, self)) and not _finds_the_same(top, own, plain)


def _find_files(entry: Entry) -> OwnFiles:
    place = os.path.dirname(entry.folder)
    key = normalise_name(entry.distribution)
    found = find_own_files(Installed(key, entry.distribution, entry.version, place, entry.folder))
    if not found.names and not found.folders:  # nothing says what it has; its entry names one module at least
        top = entry.module.partition(".")[0]
        if PathFinder.find_spec(top, [place]):
            found.names[top] = place
    return found


def _describe_module(module: ModuleType, name: str) -> ModuleSpec:
    file, path = getattr(module, "__file__", None), getattr(module, "__path__", None)
    spec = ModuleSpec(name, None, origin=file, is_package=path is not None)
    if path is not None:
        spec.submodule_search_locations = list(path)
    return spec


def _ask(finder: Any, name: str) -> ModuleSpec | None:
    try:
        return finder.find_spec(name, None) if hasattr(finder, "find_spec") else None
    except ImportError:  # see `newer_code`; what others have is not asked for
        return None


def _is_namespace(spec: ModuleSpec) -> bool:
    return spec.origin is None and spec.submodule_search_locations is not None


def _finds_the_same(top: str, own: ModuleSpec, plain: ModuleSpec | None) -> bool:
    """Whether who imports the plain name gets the distribution's own module.

    Folders without ``__init__.py`` are one name space of all who have one: each gets its own, where all that is in it
    is found in the plain one too. Everywhere a module comes before such a folder.
    """
    if plain is None:
        return False
    if not _is_namespace(own):
        return _are_the_same(own.origin, plain.origin)
    if not _is_namespace(plain):
        return True
    portions = list(plain.submodule_search_locations or ())
    for folder in own.submodule_search_locations or ():
        for name in _list_modules(folder):
            first = next((portion for portion in portions if name in _list_modules(portion)), None)
            if first is None or not _are_the_same(first, folder):
                return False
    return True


def _list_modules(folder: str) -> set[str]:
    try:
        return {module_of(name) for name in os.listdir(folder)} - {"__pycache__"}
    except OSError:
        return set()


def _are_the_same(one: str | None, other: str | None) -> bool:
    if one == other or not one or not other:
        return one == other
    try:
        return os.path.samefile(one, other)
    except OSError:  # one is in an archive, or gone
        return False


def _is_in(spec: ModuleSpec, place: str) -> bool:
    where = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return any(is_within(path, os.path.abspath(place)) for path in where)


def _is_anothers(spec: ModuleSpec, asking: OwnModules) -> bool:
    return bool(spec.origin) and any(own.holds(spec.origin or "") for own in _known.values() if own is not asking)


class _OwnFinder(MetaPathFinder):
    """Finds the modules of the known distributions as everybody else does, and lets them import their own."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        owners = _owners.get(fullname.partition(".")[0])
        if owners is None:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(fullname, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                self._adopt(spec, owners)
                return spec
        return None

    def _adopt(self, spec: ModuleSpec, owners: Sequence[OwnModules]) -> None:
        for own in owners:
            if spec.name.startswith(f"{own.package}.") or (spec.origin and own.holds(spec.origin)):
                own.adopt(spec)
                return


def _for_importer(plain: Callable[..., Any], choose: Callable[[OwnModules], Callable[..., Any]]) -> Callable[..., Any]:
    """Return a function that imports by name as its caller's own distribution does."""

    @functools.wraps(plain)
    def look(name: str, package: str | None = None) -> Any:
        own = None if name.startswith(".") else _find_importer(sys._getframe(1))
        return choose(own)(name, package) if own else plain(name, package)

    return look


def _find_importer(frame: FrameType | None) -> OwnModules | None:
    while frame is not None and _module_of(frame).startswith(IMPORTERS):
        frame = frame.f_back
    if frame is None or _module_of(frame).startswith(RUNNERS):
        found = [own for package in list_current_packages() if (own := _known.get(package))]
        return found[0] if len(found) == 1 else None
    return _owner_of(frame.f_builtins)


def find_owner(namespace: Mapping[str, Any]) -> OwnModules | None:
    """Return whose module has a namespace, if it imports as one of a known distribution does."""
    used = namespace.get("__builtins__")
    return _owner_of(used) if isinstance(used, dict) else None


def _owner_of(used_builtins: Mapping[str, Any]) -> OwnModules | None:
    own = getattr(used_builtins.get("__import__"), "__self__", None)
    return own if isinstance(own, OwnModules) else None


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


_plain_import_module, _plain_find_spec = importlib.import_module, importlib.util.find_spec
_import_module = _for_importer(_plain_import_module, lambda own: own.import_module)
_find_spec = _for_importer(_plain_find_spec, lambda own: own.find_spec)
