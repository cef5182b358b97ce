"""Of a distribution that was upgraded under this process, no further module is imported."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pickle
import pkgutil
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from openrtc.discovery.discover import discover
from openrtc.discovery.loaded_distributions import LoadedDistributions
from openrtc.errors import summarize_error
from openrtc.plugins.importing import explain_error
from openrtc.plugins.load import load
from openrtc.plugins.newer_code import NewerCode, keep_out_newer_code
from openrtc.plugins.own_modules import know_distributions
from openrtc.settings.config import Config

if TYPE_CHECKING:
    from conftest import Site

UPGRADED = "my-desk 1.1 was installed after this worker loaded 1.0; restart or roll it"
Install = Callable[..., Path]


@pytest.fixture
def install(site: Site) -> Iterator[Install]:
    """Install a distribution with all of its files in its RECORD, in place of the version that is there."""
    before = set(sys.modules)

    def put(name: str, version: str, files: dict[str, str], *, agents: dict[str, str] | None = None) -> Path:
        for old in site.folder.glob(f"{name.replace('-', '_')}-*.dist-info"):
            shutil.rmtree(old)
        lines = [f"{path},sha256={hash(text)},{len(text)}" for path, text in files.items()]
        return site.add(name, version=version, files=files, agents=agents, record=lines)

    yield put
    for name in set(sys.modules) - before:
        if name.startswith(("my_", "acme_", "distribution-my")):
            del sys.modules[name]


def note() -> LoadedDistributions:
    return LoadedDistributions.from_entries(discover(Config()))


def desk(version: str) -> dict[str, str]:
    return {
        "my_desk/__init__.py": f"VERSION = '{version}'",
        "my_desk/early.py": f"VERSION = '{version}'",
        "my_desk/late.py": f"VERSION = '{version}'",
        "my_desk/deep/__init__.py": "",
        "my_desk/deep/later.py": f"VERSION = '{version}'",
    }


AGENTS = {"desk": "my_desk:Desk"}


def test_what_was_not_imported_before_an_upgrade_fails_with_one_line_in_any_thread(install: Install) -> None:
    install("my-desk", "1.0", desk("1.0"), agents=AGENTS)
    install("my-other", "1.0", {"my_other/__init__.py": "", "my_other/late.py": "X = 1"})
    with keep_out_newer_code(note()):
        loaded = importlib.import_module("my_desk.early")
        importlib.import_module("my_other")
        install("my-desk", "1.1", desk("1.1"), agents=AGENTS)
        for module in ("my_desk.late", "my_desk.deep.later", "my_desk.deep", "my_desk.not_even_there"):
            with pytest.raises(ImportError) as told:
                importlib.import_module(module)
            assert str(told.value) == summarize_error(told.value) == UPGRADED
        with pytest.raises(NewerCode):
            importlib.util.find_spec("my_desk.late")
        with pytest.raises(NewerCode):
            importlib.reload(loaded)
        assert loaded.VERSION == importlib.import_module("my_desk.early").VERSION == "1.0"
        raised: list[BaseException] = []

        def look() -> None:
            try:
                importlib.import_module("my_desk.late")
            except ImportError as error:
                raised.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert [str(error) for error in raised] == [UPGRADED]
        assert importlib.import_module("my_other.late").X == 1
        package = sys.modules["my_desk"]
        names = {found.name for found in pkgutil.iter_modules(package.__path__)}
        assert names == {"early", "late", "deep"}, "what lists files lists them"
        assert {found.name for found in pkgutil.walk_packages(package.__path__, "my_desk.")} >= {"my_desk.late"}
        again = pickle.loads(pickle.dumps(raised[0]))
        assert (str(again), again.name) == (UPGRADED, "my_desk.late")
        install("my-desk", "1.0", desk("1.0"), agents=AGENTS)
        assert importlib.import_module("my_desk.late").VERSION == "1.0", "it is as it was again"
    install("my-desk", "1.1", desk("1.1"), agents=AGENTS)
    assert importlib.import_module("my_desk.deep.later").VERSION == "1.1", "nobody is asked any more"


def test_the_same_version_again_is_no_newer_code_but_other_files_and_none_are(install: Install) -> None:
    install("my-desk", "1.0", desk("1.0"), agents=AGENTS)
    with keep_out_newer_code(note()):
        loaded = importlib.import_module("my_desk")
        info = install("my-desk", "1.0", desk("1.0"), agents=AGENTS)
        assert importlib.import_module("my_desk.early").VERSION == "1.0"
        assert importlib.reload(loaded) is loaded
        install("my-desk", "1.0", desk("patched"), agents=AGENTS)
        with pytest.raises(NewerCode) as told:
            importlib.import_module("my_desk.late")
        assert str(told.value) == "my-desk 1.0 was changed after this worker loaded it; restart or roll it"
        shutil.rmtree(info)
        shutil.rmtree(info.parent / "my_desk")
        with pytest.raises(NewerCode) as told:
            importlib.import_module("my_desk.late")
        assert str(told.value) == "my-desk 1.0 was removed after this worker loaded it; restart or roll it"


def test_in_a_name_space_of_several_only_what_is_its_own_is_refused(install: Install) -> None:
    def files(name: str, more: str = "") -> dict[str, str]:
        return {f"acme_space/{name}/early.py": "", f"acme_space/{name}/late.py": more, f"acme_space/{name}_one.py": ""}

    install("my-desk", "1.0", files("desk"), agents={"desk": "acme_space.desk.early:Desk"})
    install("my-other", "1.0", files("other"))
    with keep_out_newer_code(note()):
        importlib.import_module("acme_space.desk.early")
        install("my-desk", "1.1", files("desk", "X = 1"), agents={"desk": "acme_space.desk.early:Desk"})
        importlib.import_module("acme_space.other.late")
        importlib.import_module("acme_space.other_one")
        for module in ("acme_space.desk.late", "acme_space.desk_one"):
            with pytest.raises(NewerCode):
                importlib.import_module(module)


def test_a_library_is_newer_code_only_where_some_of_it_was_imported(install: Install) -> None:
    for name in ("my-lib", "my-unused"):
        module = name.replace("-", "_")
        install(name, "1.0", {f"{module}/__init__.py": "", f"{module}/late.py": "X = 1"})
    with keep_out_newer_code(note()):
        importlib.import_module("my_lib")
        for name in ("my-lib", "my-unused"):
            module = name.replace("-", "_")
            install(name, "2.0", {f"{module}/__init__.py": "", f"{module}/late.py": "X = 2"})
        assert importlib.import_module("my_unused.late").X == 2
        with pytest.raises(NewerCode) as told:
            importlib.import_module("my_lib.late")
        assert str(told.value) == "my-lib 2.0 was installed after this worker loaded 1.0; restart or roll it"


def test_an_editable_installation_is_replaced_as_any_other_is(
    install: Install, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project" / "src"
    (project / "my_edited").mkdir(parents=True)
    for name in ("__init__", "early", "late"):
        (project / "my_edited" / f"{name}.py").write_text("")
    (project / "my_tests.py").write_text("X = 'the project has it too'")

    def install_editable(version: str) -> None:
        info = install("my-edited", version, {"my_edited.pth": str(project)}, agents={"edited": "my_edited:Agent"})
        origin = {"url": project.parent.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(origin))

    install_editable("1.0")
    install("my-tests", "1.0", {"my_tests.py": "X = 'the other one'"})
    monkeypatch.syspath_prepend(str(project))
    sys.path.remove(str(project))
    sys.path.append(str(project))
    with keep_out_newer_code(note()):
        importlib.import_module("my_edited.early")
        install_editable("1.1")
        assert importlib.import_module("my_tests").X == "the other one"
        with pytest.raises(NewerCode) as told:
            importlib.import_module("my_edited.late")
        assert str(told.value).startswith("my-edited 1.1 was installed after this worker loaded 1.0")


def test_of_two_packages_with_a_module_of_one_name_the_other_ones_is_still_its_own(
    site: Site, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("my-desk", "my-shop"):
        place = tmp_path / name
        place.mkdir()
        monkeypatch.setattr(site, "folder", place)
        monkeypatch.syspath_prepend(str(place))
        module = name.replace("-", "_")
        files = {
            "my_prompts.py": f"TEXT = '{name}'",
            f"{module}.py": "def read():\n    import my_prompts\n    return my_prompts.TEXT",
        }
        install(name, "1.0", files, agents={module: f"{module}:read"})
    entries = discover(Config())
    know_distributions(entries)
    loaded = LoadedDistributions.from_entries(entries)
    with keep_out_newer_code(loaded):
        desk, shop = (importlib.import_module(name) for name in ("my_desk", "my_shop"))
        shutil.rmtree(tmp_path / "my-shop" / "my_shop-1.0.dist-info")
        assert desk.read() == "my-desk"
        with pytest.raises(NewerCode) as told:
            shop.read()
        assert str(told.value) == "my-shop 1.0 was removed after this worker loaded it; restart or roll it"


def test_an_agent_whose_package_is_newer_code_is_broken_with_that_line(install: Install) -> None:
    install("my-desk", "1.0", desk("1.0"), agents=AGENTS)
    known: Any = pickle.loads(pickle.dumps(note()))  # as a job process gets it
    with keep_out_newer_code(known):
        install("my-desk", "1.1", desk("1.1"), agents=AGENTS)
        entry = next(one for one in discover(Config()) if one.distribution == "my-desk")
        (agent,) = load([entry], Config()).agents
        assert (str(agent.state), agent.reason) == ("broken", UPGRADED.partition(";")[0])
        assert agent.fix == "restart or roll it"
        with pytest.raises(NewerCode) as told:
            importlib.import_module("my_desk")
        assert explain_error(told.value, entry).status.reason == agent.reason
