from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openrtc import install_commands
from openrtc.install_commands import OURS, install_command, uninstall_command

ROOT = Path(__file__).parents[2]
OFFLINE = "openrtc-offline[espeak]"
Origins = dict[str, dict[str, Any]]


@pytest.fixture
def origins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Origins]:
    """What stands in each distribution's direct_url.json; this environment has a pip of its own, first on the PATH."""
    known: Origins = {}
    install_commands._find_ours.cache_clear()
    monkeypatch.setattr(install_commands, "_read_origin", lambda name: known.get(name, {}))
    has_tools(monkeypatch, "pip")
    yield known
    install_commands._find_ours.cache_clear()


def has_tools(monkeypatch: pytest.MonkeyPatch, *tools: str) -> None:
    folder = Path(sys.executable).parent
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in tools else None)
    monkeypatch.setattr(shutil, "which", lambda name: str(folder / name) if name in tools else None)


def source(root: Path) -> Path:
    for folder in ("core", "plugins/openrtc-offline", "sample_agents/my-support-agent"):
        (root / folder).mkdir(parents=True)
        (root / folder / "pyproject.toml").touch()
    return root / "core"


def test_what_came_from_a_folder_is_installed_from_the_folder_beside_it(origins: Origins, tmp_path: Path) -> None:
    root = tmp_path / "two words"
    origins["openrtc-core"] = {"url": source(root).as_uri(), "dir_info": {"editable": True}}
    assert install_command(OFFLINE) == f"pip install '{root}/plugins/openrtc-offline[espeak]'"
    assert install_command("my-support-agent>=1") == f"pip install '{root}/sample_agents/my-support-agent'"
    assert install_command("openrtc-core", "--force-reinstall") == f"pip install --force-reinstall -e '{root}/core'"
    assert "stands on no package index" in install_command("openrtc-silero")  # whose folder is not there


def test_what_came_from_a_wheel_is_installed_from_the_wheels_folder(origins: Origins, tmp_path: Path) -> None:
    wheel = tmp_path / "openrtc_core-0.1.0-py3-none-any.whl"
    origins["openrtc-core"] = {"url": wheel.as_uri(), "archive_info": {}}
    assert install_command(OFFLINE).startswith(
        "install openrtc-offline from the folder or wheel that openrtc-core came"
    )
    offline = tmp_path / "openrtc_offline-0.1.0-py3-none-any.whl"
    offline.touch()
    install_commands._find_ours.cache_clear()
    assert install_command(OFFLINE) == f"pip install '{offline}[espeak]'"


def test_what_came_from_a_repository_is_installed_from_there(origins: Origins) -> None:
    vcs = {"vcs": "git", "commit_id": "abc"}
    origins["openrtc-core"] = {"url": "https://example.org/o.git", "vcs_info": vcs, "subdirectory": "core"}
    wanted = "openrtc-offline[espeak] @ git+https://example.org/o.git@abc#subdirectory=plugins/openrtc-offline"
    assert install_command(OFFLINE) == f"pip install '{wanted}'"
    assert install_command("rich>=13") == "pip install 'rich>=13'"


@pytest.mark.parametrize("name", OURS)
def test_nothing_of_ours_is_asked_of_an_index(origins: Origins, name: str) -> None:
    for requirement in (name, f"{name}>=0.2", name.upper().replace("-", "_"), f"{name}[x]"):
        assert install_command(requirement).startswith(f"install {name} from the folder or wheel")


def test_another_distribution_is_installed_again_from_where_it_came(origins: Origins, tmp_path: Path) -> None:
    origins["my-agent"] = {"url": tmp_path.as_uri(), "dir_info": {}}
    assert install_command("my-agent", "--force-reinstall") == f"pip install --force-reinstall {tmp_path}"
    assert install_command("my-agent>=2") == "pip install 'my-agent>=2'"
    assert install_command("evil @ https://x/$(touch${IFS}x)") == "pip install 'evil @ https://x/$(touch${IFS}x)'"


@pytest.mark.parametrize(
    ("tools", "active", "expected"),
    [
        (("pip", "uv"), False, "pip install 'a>1'"),
        (("uv",), True, "uv pip install 'a>1'"),
        (("uv",), False, f"uv pip install 'a>1' --python {sys.executable}"),
        ((), False, f"{sys.executable} -m ensurepip && {sys.executable} -m pip install 'a>1'"),
    ],
)
def test_the_environments_own_pip_is_used_or_uv(
    origins: Origins, monkeypatch: pytest.MonkeyPatch, tools: tuple[str, ...], active: bool, expected: str
) -> None:
    has_tools(monkeypatch, *tools)
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix if active else "/somewhere/else")
    assert install_command("a>1") == expected
    assert uninstall_command("a") == expected.replace("install 'a>1'", "uninstall a")


def test_a_pip_of_another_environment_is_not_meant(origins: Origins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert install_command("rich") == f"{sys.executable} -m pip install rich"


def test_no_text_installs_a_distribution_of_ours_by_its_name() -> None:
    by_name = re.compile(r"""install\s+(?:-\S+\s+)*["'\\]*openrtc[-_\[ "'`]""")
    texts = [
        *ROOT.glob("core/src/**/*.py"),
        *ROOT.glob("plugins/*/src/**/*.py"),
        *ROOT.glob("sample_agents/*/src/**/*.py"),
    ]
    texts += [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*/README.md"), *ROOT.glob("core/README.md")]
    assert len(texts) > 300
    found = {
        str(path): by_name.findall(path.read_text(encoding="utf-8")) for path in texts if path.name != "CHANGELOG.md"
    }
    assert {path: texts for path, texts in found.items() if texts} == {}
