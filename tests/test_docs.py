"""The documentation says what the code does."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "core" / "src" / "openrtc"
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "tests/README.md", "plugins/*/README.md", "sample_agents/*/README.md")
    for path in ROOT.glob(pattern)
)
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_hook_reference_is_what_the_hook_specifications_give() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_hooks.py"))
    assert (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8") == generator["page"]()


def test_the_event_reference_and_its_schema_are_what_the_events_give() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_events.py"))
    assert (ROOT / "docs" / "events.md").read_text(encoding="utf-8") == generator["page"]()
    assert (ROOT / "docs" / "events.schema.json").read_text(encoding="utf-8") == generator["schema"]()


def test_the_settings_reference_is_what_the_declarations_give() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_settings.py"))
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == generator["page"]()


def test_the_rules_of_the_check_are_what_they_are_declared() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_check.py"))
    assert (ROOT / "docs" / "check.md").read_text(encoding="utf-8") == generator["page"]()


def test_the_reference_of_public_names_is_what_their_docstrings_give() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_api.py"))
    assert (ROOT / "docs" / "api.md").read_text(encoding="utf-8") == generator["page"]()


def test_every_variable_that_the_code_reads_is_documented_and_no_other() -> None:
    from openrtc.settings.config import SETTINGS
    from openrtc.settings.variables import OF_PROCESSES, VARIABLES

    modules = [*PACKAGE.rglob("*.py"), *ROOT.glob("plugins/*/src/**/*.py"), *ROOT.glob("plugins/*/hatch_build.py")]
    read = set(chain.from_iterable(map(find_variables, modules)))
    others = {*VARIABLES, *OF_PROCESSES}
    assert read - {setting.variable for setting in SETTINGS} - others == set()
    assert others - read - {"NO_COLOR"} == set()  # which rich reads, and the argparse of Python 3.14


def find_variables(path: Path) -> Iterator[str]:
    """Yield what a module reads of the environment by name, and every string that can only be a variable of ours."""
    if path == PACKAGE / "settings" / "variables.py":
        return
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)) if re.search("environ|OPENRTC|LIVEKIT", source) else ():
        if isinstance(node, ast.Constant) and re.fullmatch("(OPENRTC|LIVEKIT)_[A-Z0-9_]+", str(node.value)):
            yield str(node.value)
        key = node.args[0] if isinstance(node, ast.Call) and node.args else getattr(node, "slice", None)
        holder = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        holder = node.value if isinstance(node, ast.Subscript) else holder
        if holder is not None and isinstance(key, ast.Constant) and ast.unparse(holder).endswith("environ"):
            yield str(key.value)


def test_the_table_of_livekits_ways_is_what_is_tested() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_livekit.py"))
    assert (ROOT / "docs" / "livekit.md").read_text(encoding="utf-8") == generator["page"]()


def test_the_first_screen_names_the_two_commands() -> None:
    first = README[: README.index("## How a call finds its agent")]
    assert "python -m pip install nox && python -m nox -s demo" in first
    assert "python -m pip install nox && python -m nox -s tests" in first


def test_the_first_screen_says_where_openrtc_is_installed_from_and_what_a_package_depends_on() -> None:
    first = README[: README.index("An **agent package**")]
    assert "`openrtc` on PyPI is another project" in first
    core = tomllib.loads((ROOT / "plugins/openrtc-offline/pyproject.toml").read_text(encoding="utf-8"))["project"]
    (dependency,) = [one for one in core["dependencies"] if one.startswith("openrtc-core")]
    assert f'"{dependency}"' in first


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_every_python_block_of_the_readme_compiles(block: str) -> None:
    compile(block, "README.md", "exec")


@pytest.mark.parametrize(
    "block", re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "casts.md").read_text(encoding="utf-8"), re.DOTALL)
)
def test_every_python_block_about_casts_compiles(block: str) -> None:
    compile(block, "casts.md", "exec")


def test_every_option_and_every_deed_of_a_cast_is_explained() -> None:
    from dataclasses import fields

    from openrtc import Cast, CastMember

    page = (ROOT / "docs" / "casts.md").read_text(encoding="utf-8")
    for option in fields(Cast):
        assert f"\n| `{option.name}` |" in page, option.name
        if option.name not in ("members", "lead", "ear"):
            assert str(option.default).removesuffix(".0") in page
    for name in (name for name in vars(CastMember) if not name.startswith("_")):
        assert re.search(rf"`(await )?{name}\(|`{name}`", page), name


def test_every_command_of_the_readme_is_a_command() -> None:
    from openrtc.cli.commands import COMMANDS

    named = set(re.findall(r"`openrtc ([a-z-]+)", README))
    tables = (tomllib.loads(path.read_text(encoding="utf-8")) for path in ROOT.glob("plugins/*/pyproject.toml"))
    of_plugins = {
        name for table in tables for name in table["project"].get("entry-points", {}).get("openrtc.commands", ())
    }
    assert named == set(COMMANDS) | of_plugins


@pytest.mark.process
def test_the_settings_of_the_readme_are_accepted(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(\[plugins\].*?)```", README, re.DOTALL)
    settings = tmp_path / "openrtc.toml"
    settings.write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "openrtc", "--config", str(settings), "list-agents", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_linked_file_is_there(page: Path) -> None:
    linked = re.findall(r"\]\(((?!https?:)[^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert not [link for link in linked if not (ROOT / page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    files = r"`((?:[a-z_][\w.-]*/)+[a-z_][\w-]*\.(?:py|md|toml|json))(?:::[^`]*)?`"
    named = set(re.findall(files, (ROOT / page).read_text(encoding="utf-8")))
    assert not [path for path in named if not any((base / path).exists() for base in (ROOT, PACKAGE))]


def test_every_test_that_a_page_names_is_there() -> None:
    for page in PAGES:
        named = re.findall(r"([\w/-]+/test_\w+\.py)::(\w+)", (ROOT / page).read_text(encoding="utf-8"))
        assert not [f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text()], page


@pytest.mark.process
def test_no_package_registry_host_and_no_lock_file_of_python_stands_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [path for path in listed if Path(path).name in {"uv.lock", "poetry.lock"}]
    hosts = re.compile(
        "|".join(("pypi" + r"\.org", "pythonhosted" + r"\.org", "proxy.golang" + r"\.org", "npmjs" + r"\."))
    )
    texts = (ROOT / path for path in listed if Path(path).suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".sh", ""})
    assert not [str(path) for path in texts if hosts.search(path.read_text(encoding="utf-8", errors="replace"))]


def test_the_agent_package_of_the_first_screen_is_all_that_pip_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hatchling.build import build_wheel

    of_package = r"```(?:python|toml)\n# (my_support_agent/__init__\.py|pyproject\.toml)\n(.*?)```"
    for path, text in re.findall(of_package, README, re.DOTALL):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(build_wheel(str(tmp_path))) as wheel:
        assert "class SupportAgent(Agent)" in wheel.read("my_support_agent/__init__.py").decode()
        entry_points = wheel.read("my_support_agent-0.1.0.dist-info/entry_points.txt").decode()
    assert entry_points.split() == ["[openrtc.agents]", "support", "=", "my_support_agent:SupportAgent"]
