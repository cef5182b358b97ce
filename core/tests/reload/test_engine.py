"""Edited packages are imported anew all or nothing, with whoever imports from them."""

from __future__ import annotations

import gc
import os
import sys
import weakref
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.catalog.catalog import Catalog
from openrtc.model.status import State
from openrtc.plugins import own_modules
from openrtc.reload.engine import Broken, Engine, Staged
from openrtc.reload.files import Files
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, Policy

if TYPE_CHECKING:
    from conftest import Site

DESK = """
    from pathlib import Path

    from livekit.agents import Agent

    from desk.words import WORD
    from desk_helper import HELP

    PROMPT = Path(__file__).with_name("prompt.txt").read_text()

    class Desk(Agent):
        def __init__(self):
            super().__init__(instructions=f"{WORD} {HELP} {PROMPT}")
"""
OTHER = """
    from livekit.agents import Agent

    class Other(Agent):
        def __init__(self):
            super().__init__(instructions="other")
"""
HOOKS = """
    from openrtc import hookimpl

    WORD = "one"

    @hookimpl
    def openrtc_redact(text):
        return f"{text} {WORD}"
"""


class Edited:
    """Two packages and a helper, loaded; each edit is looked for and staged as a worker does it."""

    def __init__(self, site: Site, prepare: Callable[[Catalog, Collection[str]], dict[str, str]]) -> None:
        self.site = site
        files = {"desk/__init__.py": DESK, "desk/words.py": 'WORD = "word"\n', "desk/prompt.txt": "prompt"}
        site.add("desk-agent", agents={"desk": "desk:Desk"}, files=files, record=["desk/__init__.py,,"])
        site.add("other-agent", agents={"other": "other:Other"}, files={"other.py": OTHER}, record=["other.py,,"])
        site.add("hook-pack", plugins={"hooks": "hook_pack"}, files={"hook_pack.py": HOOKS}, record=["hook_pack.py,,"])
        self.runtime: Runtime = build_runtime(Config(policy=Policy(allow=("desk-agent", "other-agent", "hook-pack"))))
        self.engine = Engine(self.runtime, prepare)
        self.files = Files()
        self.files.look(self.engine.list_places())

    def save(self, **texts: str) -> Staged | None:
        """Save files, given by their names with two underlines for a slash and one for the dot, and stage them."""
        for name, text in texts.items():
            path = self.site.folder / name.replace("__", "/").replace("_txt", ".txt").replace("_py", ".py")
            path.write_text(text)
        return self.stage()

    def stage(self, installed: Collection[str] = ()) -> Staged | None:
        """Stage what has changed."""
        return self.engine.stage(self.files.look(self.engine.list_places()), installed)

    def take(self, **texts: str) -> Staged:
        """Save files, and use what comes of it."""
        staged = self.save(**texts)
        assert staged is not None
        staged.commit()
        return staged

    def instructions(self, agent: str = "desk") -> str:
        """Return what an agent that is built now is told."""
        spec = self.runtime.catalog.get(agent).spec
        assert spec is not None and spec.agent is not None
        return str(spec.agent().instructions)


@pytest.fixture
def edited(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edited]:
    helpers = tmp_path / "helpers"
    helpers.mkdir()
    (helpers / "desk_helper.py").write_text('HELP = "help"\n')
    monkeypatch.syspath_prepend(str(helpers))
    yield Edited(site, lambda *_: {})
    sys.modules.pop("desk_helper", None)


def test_code_prompts_and_helpers_are_taken_and_nothing_else_is_touched(edited: Edited, tmp_path: Path) -> None:
    assert edited.instructions() == "word help prompt"
    other, hooks = sys.modules["other"], sys.modules["hook_pack"]
    assert edited.take(desk__words_py='WORD = "words"\n').agents == ("desk",)
    edited.take(desk__prompt_txt="prompts")
    (tmp_path / "helpers" / "desk_helper.py").write_text('HELP = "helps"\n')
    staged = edited.stage()
    assert staged and staged.distributions == ("desk-agent",), "who imports from it"
    staged.commit()
    assert edited.instructions() == "words helps prompts"
    assert sys.modules["other"] is other and sys.modules["hook_pack"] is hooks


def test_two_edits_of_one_size_within_a_second_both_count(edited: Edited) -> None:
    path = edited.site.folder / "desk" / "words.py"
    for word in ("aaaa", "bbbb", "cccc"):
        path.write_text(f'WORD = "{word}"\n')
        os.utime(path, (1_700_000_000, 1_700_000_000))  # as a file system without fractions of a second tells it
        staged = edited.engine.stage({str(path)})
        assert staged
        staged.commit()
        assert edited.instructions().startswith(word)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def (:\n", r"SyntaxError: .* at \S+words\.py:1$"),
        ("WORD = 1 / 0\n", r"ZeroDivisionError: .* at \S+words\.py:1$"),
        ("import no_such\n", r"imports \"no_such\", which is not installed at \S+words\.py:1$"),
        ("import sys; sys.exit(3)\n", r"called sys\.exit\(3\) at import at \S+words\.py:1$"),
        ("WORDS = 1\n", r"ImportError: cannot import name 'WORD' .* at \S+desk/__init__\.py:\d+$"),
        ("", r"ImportError: cannot import name 'WORD'"),
        ("WORD = '\0'\n", r"null bytes"),
    ],
)
def test_a_broken_edit_changes_nothing_and_the_next_good_one_counts(edited: Edited, source: str, why: str) -> None:
    before = {name: sys.modules[name] for name in ("desk", "desk.words", "desk_helper")}
    catalog, built = edited.runtime.catalog, type(edited.runtime.catalog.get("desk").spec)
    with pytest.raises(Broken, match=why):
        edited.save(desk__words_py=source)
    assert {name: sys.modules[name] for name in before} == before
    assert sys.modules["desk"].words is sys.modules["desk.words"]
    assert edited.runtime.catalog is catalog and isinstance(catalog.get("desk").spec, built)
    assert edited.instructions() == "word help prompt"
    edited.take(desk__words_py='WORD = "good"\n')
    assert edited.instructions() == "good help prompt"


def test_an_edit_that_another_package_cannot_use_is_tried_again_when_that_is_edited(edited: Edited) -> None:
    with pytest.raises(Broken, match="cannot import name 'MORE'"):
        edited.save(desk__words_py="from desk_helper import MORE\nWORD = MORE\n")
    helper = Path(str(sys.modules["desk_helper"].__file__))
    helper.write_text('HELP = "help"\nMORE = "more"\n')
    staged = edited.stage()
    assert staged
    staged.commit()
    assert edited.instructions() == "more help prompt"


def test_what_is_put_back_after_staging_is_as_it_was(edited: Edited) -> None:
    before = sys.modules["desk"]
    staged = edited.save(desk__words_py='WORD = "unbuilt"\n')
    assert staged and sys.modules["desk"] is not before
    staged.put_back()
    assert sys.modules["desk"] is before and sys.modules["desk"].words is sys.modules["desk.words"]
    assert edited.instructions() == "word help prompt"


def test_hooks_are_taken_in_the_object_that_everybody_has(edited: Edited) -> None:
    redact = edited.runtime.hooks.redact
    assert redact("a") == "a one"
    edited.take(hook_pack_py=HOOKS.replace('"one"', '"two"').replace("\n    ", "\n"))
    assert redact("a") == "a two"


def test_files_that_belong_to_nobody_change_nothing(edited: Edited, tmp_path: Path) -> None:
    assert edited.engine.stage({str(tmp_path / "elsewhere.py")}) is None
    assert edited.engine.stage(set()) is None


def test_an_entry_point_that_is_installed_joins_and_one_that_goes_is_gone(edited: Edited) -> None:
    info = edited.site.folder / "desk_agent-1.0.dist-info"
    (info / "entry_points.txt").write_text("[openrtc.agents]\ndesk = desk:Desk\nsecond = desk:Desk\n")
    installed = edited.engine.find_installed(edited.engine.look_at_installed())
    assert installed == {"desk-agent"}
    staged = edited.stage(installed)
    assert staged and staged.agents == ("desk", "second")
    staged.commit()
    assert list(edited.runtime.catalog.ready) == ["desk", "second", "other"]
    (info / "entry_points.txt").write_text("[openrtc.agents]\nsecond = desk:Desk\n")
    staged = edited.stage(edited.engine.find_installed(edited.engine.look_at_installed()))
    assert staged and staged.gone == ("desk",)
    staged.commit()
    assert list(edited.runtime.catalog.ready) == ["second", "other"]
    (info / "entry_points.txt").unlink()
    staged = edited.stage(edited.engine.find_installed(edited.engine.look_at_installed()))
    assert staged
    staged.commit()
    assert list(edited.runtime.catalog.ready) == ["other"]


def test_an_agent_that_cannot_be_prepared_is_told_and_the_others_are_taken(site: Site, edited: Edited) -> None:
    asked: list[str] = []

    def prepare(catalog: Catalog, names: Collection[str]) -> dict[str, str]:
        asked.extend(names)
        return {"second": "no model"}

    engine = Engine(edited.runtime, prepare)
    info = site.folder / "desk_agent-1.0.dist-info"
    (info / "entry_points.txt").write_text("[openrtc.agents]\ndesk = desk:Desk\nsecond = desk:Desk\n")
    staged = engine.stage((), engine.find_installed(engine.look_at_installed()))
    assert staged and asked == ["second"]
    staged.commit()
    assert [row.name for row in staged.unusable] == ["second"]
    assert edited.runtime.catalog.ready == ("desk", "other")
    assert edited.runtime.catalog.get("second").state is State.BROKEN


def test_what_the_start_has_marked_broken_stays_so_until_it_is_edited(edited: Edited) -> None:
    edited.runtime.mark_broken({"other": "its prewarm failed", "desk": "its prewarm failed"}, fix="see it")
    edited.take(desk__words_py='WORD = "fixed"\n')
    assert edited.runtime.catalog.ready == ("desk",)


def test_old_modules_are_let_go(edited: Edited) -> None:
    edited.take(desk__words_py='WORD = "first"\n')
    old = weakref.ref(sys.modules["desk.words"])
    edited.take(desk__words_py='WORD = "second"\n')
    gc.collect()
    assert old() is None


def test_a_package_of_a_module_that_another_one_has_too_is_taken_in_its_own_name(site: Site) -> None:
    # `agent` is the other package's for everybody else; this one's stands in a package of its own.
    site.add(
        "first-pack",
        agents={"first": "agent:First"},
        files={"agent.py": OTHER.replace("Other", "First")},
        record=["agent.py,,"],
    )
    beside = site.beside("second")
    beside.folder.mkdir()
    sys.path.append(str(beside.folder))
    try:
        source = OTHER.replace("Other", "Second")
        beside.add("second-pack", agents={"second": "agent:Second"}, files={"agent.py": source}, record=["agent.py,,"])
        runtime = build_runtime(Config(policy=Policy(allow=("first-pack", "second-pack"))))
        assert set(runtime.catalog.ready) == {"first", "second"}
        engine, files = Engine(runtime, lambda *_: {}), Files()
        files.look(engine.list_places())
        before = sys.modules["agent"]
        path = beside.folder / "agent.py"
        path.write_text(path.read_text().replace('"other"', '"edited"'))
        staged = engine.stage(files.look(engine.list_places()))
        assert staged and staged.distributions == ("second-pack",)
        staged.commit()
        spec = runtime.catalog.get("second").spec
        assert spec and spec.agent and spec.agent().instructions == "edited"
        assert sys.modules["agent"] is before
        assert own_modules.package_of("second-pack") in sys.modules
    finally:
        sys.path.remove(str(beside.folder))
