from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import pickle
import sys
import threading
import typing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from openrtc.discovery.discover import discover
from openrtc.model.status import State
from openrtc.observe import package_code
from openrtc.plugins.load import load
from openrtc.plugins.own_modules import find_own_modules, imported_name
from openrtc.plugins.own_pickles import name_own_modules
from openrtc.settings.config import Config

if TYPE_CHECKING:
    from conftest import Site

CheckBroken = Callable[..., None]

AGENT_VALUE = "agent:Assistant"
AGENT = """
from dataclasses import dataclass
from livekit.agents import Agent
from prompts import WHO

@dataclass
class Order:
    number: "Number"

Number = int

class Assistant(Agent):
    '''Answers.'''

    def __init__(self):
        super().__init__(instructions=WHO)

def say_later(import_module):
    import prices
    from protocol import NAME
    return prices.__name__, NAME, import_module("config").NAME
"""


def flat(who: str) -> dict[str, str]:
    """Return the files of an agent as most public ones are: flat modules, which import each other by bare name."""
    return {
        "agent.py": AGENT,
        "prompts.py": f"import agent\nWHO = 'I am {who}'\n",
        "protocol.py": f"NAME = '{who}'\n",
        "prices.py": "",
        "config.py": f"NAME = '{who}'\n",
    }


class Sites:
    """Distributions of which each has a folder of its own on `sys.path`, as editable ones have."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self._site = site
        self._patch = monkeypatch
        self.names: list[str] = []

    def add(
        self, name: str, files: Mapping[str, str], value: str = "agent:Assistant", *, editable: bool = True
    ) -> Path:
        """Install a distribution with one agent of its name; returns the folder of its modules."""
        self.names.append(name)
        if not editable:
            place = self._site.beside(name)
            place.add(name, agents={name: value}, files=files, record=[f"{path},," for path in files])
            self._patch.syspath_prepend(str(place.folder))
            return place.folder
        project = self._site.folder.parent / f"{name}-project"
        for path, source in files.items():
            target = project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source)
        info = self._site.add(name, agents={name: value}, record=[f"{name}.pth,,"])
        (info.parent / f"{name}.pth").write_text(f"{project}\n")
        (info / "direct_url.json").write_text(json.dumps({"url": f"file://{project}", "dir_info": {"editable": True}}))
        self._patch.setattr(sys, "path", [*sys.path, str(project)])  # as site does with each line
        return project

    def load(self) -> dict[str, Any]:
        """Import all agents; returns what each entry point names, by the agent's name."""
        entries = [entry for entry in discover(Config()) if entry.distribution in self.names]
        loaded = load(entries, Config())
        assert {agent.name: agent.status.reason for agent in loaded.agents} == dict.fromkeys(self.names)
        return {agent.name: agent.spec.agent for agent in loaded.agents if agent.spec}


@pytest.fixture
def sites(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    """Distributions with folders of their own; what is imported of them is forgotten after the test."""
    holders: tuple[Any, Any] = (importlib, importlib.util)  # of which functions are replaced for the whole process
    for holder, function in zip(holders, ("import_module", "find_spec"), strict=True):
        monkeypatch.setattr(holder, function, getattr(holder, function))
    yield Sites(site, monkeypatch)
    for name, module in list(sys.modules.items()):
        if str(site.folder.parent) in f"{getattr(module, '__file__', '')} {getattr(module, '__path__', '')}":
            del sys.modules[name]


def module_of(kind: type) -> ModuleType:
    return sys.modules[kind.__module__]


@pytest.mark.parametrize("editable", [True, False])
def test_each_of_several_flat_agents_answers_as_itself(sites: Sites, editable: bool) -> None:
    for name in ("clinic", "hotel", "shop"):
        sites.add(name, flat(name), editable=editable)
    agents = sites.load()
    assert {name: kind().instructions for name, kind in agents.items()} == {
        name: f"I am {name}" for name in ("clinic", "hotel", "shop")
    }


def test_an_agent_that_is_alone_keeps_the_plain_names(sites: Sites) -> None:
    sites.add("clinic", flat("clinic"))
    (kind,) = sites.load().values()
    assert kind.__module__ == "agent"
    assert sys.modules["prompts"].WHO == "I am clinic"


def test_imports_made_later_in_functions_and_threads_find_its_own(sites: Sites) -> None:
    for name in ("clinic", "hotel"):
        sites.add(name, flat(name))
    said: dict[str, Any] = {}
    for name, kind in sites.load().items():

        def say(name: str = name, kind: type = kind) -> None:
            said[name] = module_of(kind).say_later(importlib.import_module)

        thread = threading.Thread(target=say)
        thread.start()
        thread.join()
    assert said == {
        "clinic": ("prices", "clinic", "clinic"),
        "hotel": ("distribution-hotel.prices", "hotel", "hotel"),
    }


def test_a_thread_that_only_imports_does_so_for_the_agent_whose_call_it_is(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("clinic", "hotel"):
        sites.add(name, flat(name))
    sites.load()
    monkeypatch.setattr(package_code, "_find_current", lambda: {"agent", "distribution-hotel"})
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(importlib.import_module, "config").result().NAME == "hotel"
        monkeypatch.setattr(package_code, "_find_current", lambda: {"distribution-clinic", "distribution-hotel"})
        assert threads.submit(importlib.import_module, "config").result().NAME == "clinic"


def test_python_s_own_tools_find_the_module_of_a_class(sites: Sites) -> None:
    for name in ("clinic", "hotel"):
        folder = sites.add(name, flat(name))
    kind = sites.load()["hotel"]
    module: Any = module_of(kind)
    order = module.Order(5)
    assert pickle.loads(pickle.dumps(order)) == order
    assert type(pickle.loads(pickle.dumps(order))) is module.Order
    assert inspect.getsourcefile(kind) == str(folder / "agent.py")
    assert inspect.getsource(kind).startswith("class Assistant(Agent):")
    assert typing.get_type_hints(module.Order) == {"number": int}
    (folder / "prompts.py").write_text("WHO = 'I am new here'\n")
    importlib.reload(sys.modules[module.__name__.replace("agent", "prompts")])
    assert importlib.reload(module).Assistant().instructions == "I am new here"


@pytest.mark.process
def test_a_process_that_an_agent_spawns_finds_its_classes_and_their_siblings(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
from dataclasses import dataclass

class Order:
    @dataclass
    class Line:
        who: str

def fill(order, line):
    import config
    line.who = config.NAME
    return order, line
"""
    for name in ("clinic", "hotel"):
        sites.add(name, flat(name) | {"prices.py": code})
    sites.load()
    monkeypatch.setattr(ForkingPickler, "reducer_override", None, raising=False)  # put back after the test
    name_own_modules()
    found = [importlib.import_module(name) for name in ("prices", "distribution-hotel.prices")]
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        for module, who in zip(found, ("clinic", "hotel"), strict=True):
            filled = processes.submit(module.fill, module.Order, module.Order.Line("nobody")).result()
            assert filled == (module.Order, module.Order.Line(who))
    assert pickle.loads(ForkingPickler.dumps(Path(), 5)) == Path()
    with pytest.raises((AttributeError, pickle.PicklingError), match="local"):
        ForkingPickler.dumps(lambda: None)


def test_packages_find_their_own_parts_and_their_files(sites: Sites) -> None:
    code = """
import importlib.resources
import parts.words as words
import parts.deep.more
from parts.deep import more
from .here import HERE

def assistant():
    from livekit.agents import Agent
    text = importlib.resources.files("parts").joinpath("text.txt").read_text()
    assert parts.deep.more is more
    return Agent(instructions=f"{words.WHO} {text} {more.WHO} {HERE}")
"""
    for name in ("clinic", "hotel"):
        files = {
            "desk/__init__.py": code,
            "desk/here.py": f"HERE = '{name}'\n",
            "desk/__main__.py": "raise SystemExit\n",
            "parts/__init__.py": "",
            "parts/words.py": f"from . import deep\nWHO = '{name}'\n",
            "parts/text.txt": name,
            "parts/deep/__init__.py": "",
            "parts/deep/more.py": "from parts import words\nWHO = words.WHO\n",
        }
        sites.add(name, files, "desk:assistant")
    agents = sites.load()
    assert {name: build().instructions for name, build in agents.items()} == {
        name: " ".join([name] * 4) for name in ("clinic", "hotel")
    }


def test_folders_without_init_are_one_name_space_unless_two_have_the_same_in_it(sites: Sites) -> None:
    code = "import WHERE.part\nfrom WHERE import part as same\nfrom livekit.agents import Agent\n"
    code += "def assistant(): return Agent(instructions=f'{WHERE.part.WHO} {same.WHO} {WHERE.__name__}')\n"
    for name in ("clinic", "hotel"):
        files = {"prices/part.py": f"WHO = '{name}'\n", f"company/{name}.py": f"WHO = '{name}'\n"}
        files[f"{name}_tools.py"] = code.replace("WHERE", "prices")
        files[f"{name}_company.py"] = code.replace("WHERE", "company").replace("part", name)
        sites.add(name, files, f"{name}_tools:assistant")
    agents = sites.load()
    assert agents["clinic"]().instructions == "clinic clinic prices"
    assert agents["hotel"]().instructions == "hotel hotel distribution-hotel.prices"
    for name in ("clinic", "hotel"):
        module = importlib.import_module(f"{name}_company")
        assert module.assistant().instructions == f"{name} {name} company"


def test_what_a_package_puts_on_the_path_serves_its_own_imports_only(sites: Sites) -> None:
    code = """
import os, sys
sys.path.insert(0, os.path.dirname(__file__))
from prompts import WHO
from livekit.agents import Agent

def assistant():
    import later
    return Agent(instructions=WHO + later.WHO)
"""
    for name in ("clinic", "hotel"):
        files = {f"{name}_desk/__init__.py": "", f"{name}_desk/main.py": code}
        files |= {f"{name}_desk/prompts.py": f"WHO = '{name}'\n", f"{name}_desk/later.py": f"WHO = ' {name}'\n"}
        sites.add(name, files, f"{name}_desk.main:assistant", editable=name == "hotel")
    before = list(sys.path)
    agents = sites.load()
    assert sys.path == before
    assert {name: build().instructions for name, build in agents.items()} == {
        "clinic": "clinic clinic",
        "hotel": "hotel hotel",
    }
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("later")


def test_a_module_called_as_one_of_the_standard_library_is_its_own_only(sites: Sites) -> None:
    code = (
        "import calendar\nfrom livekit.agents import Agent\ndef assistant(): return Agent(instructions=calendar.WHO)\n"
    )
    sites.add("clinic", {"desk.py": code, "calendar.py": "WHO = 'my own'\n"}, "desk:assistant")
    assert sites.load()["clinic"]().instructions == "my own"
    import calendar

    assert calendar.isleap(2028)


def test_who_is_no_package_finds_what_python_finds(sites: Sites) -> None:
    for name in ("clinic", "hotel"):
        sites.add(name, flat(name))
    sites.load()
    assert importlib.import_module("agent").Assistant().instructions == "I am clinic"
    assert importlib.util.find_spec("prompts") is sys.modules["prompts"].__spec__


def test_a_module_that_is_missing_has_its_plain_name(site: Site, sites: Sites, check_broken: CheckBroken) -> None:
    sites.add("clinic", flat("clinic"))
    sites.add("hotel", {"agent/__init__.py": "from agent.promts import WHO", "agent/prompts.py": ""}, "agent:Assistant")
    sites.add("shop", {"agent.py": ""}, "agent:Assistant")
    rows = {agent.name: agent for agent in load(site.entries(), Config()).agents}
    assert rows["clinic"].state is State.READY
    check_broken(
        rows["hotel"],
        r'imports its own module "agent\.promts", which does not exist',
        r'did you mean "agent\.prompts"\?',
        "hotel-project/agent/__init__.py:1",
    )
    check_broken(rows["shop"], '^agent has no attribute "Assistant"', "define it", "shop-project/agent.py")


def test_the_finder_of_an_editable_installation_says_where_its_modules_are(
    site: Site, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites.add("clinic", flat("clinic"))
    project = sites.add("hotel", {"src/agent.py": AGENT, "src/prompts.py": "WHO = 'I am hotel'\n"})
    sys.path.remove(str(project))
    (site.folder / "hotel.pth").write_text("import __editable___hotel_finder; __editable___hotel_finder.install()\n")
    finder: Any = ModuleType("__editable___hotel_finder")
    finder.MAPPING = {"agent": str(project / "src" / "agent")}
    monkeypatch.setitem(sys.modules, finder.__name__, finder)
    agents = sites.load()
    assert {name: kind().instructions for name, kind in agents.items()} == {
        "clinic": "I am clinic",
        "hotel": "I am hotel",
    }
    (entry,) = (entry for entry in site.entries() if entry.distribution == "hotel")
    assert imported_name(entry) == "distribution-hotel.agent"


def test_an_environment_within_a_project_is_not_the_project_s(
    site: Site, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = sites.add("clinic", flat("clinic"))
    packages = project / ".venv" / "site-packages"
    packages.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    sites.load()
    (entry,) = site.entries()
    own = find_own_modules(entry)
    assert own is not None
    assert own.holds(str(project / "agent.py"))
    assert not own.holds(str(packages / "requests.py"))
