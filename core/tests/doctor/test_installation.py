from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.doctor.installation import check_leftovers, check_python, check_requirements, examine_installation
from openrtc.model.check_result import CheckResult

if TYPE_CHECKING:
    from conftest import Site


def find_leftovers(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[CheckResult]:
    monkeypatch.setattr("sys.path", [str(site.folder)])
    return list(check_leftovers(()))


def test_another_environment_that_is_activated_is_told_with_its_program(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "openrtc").touch()
    here, other = check_python({"VIRTUAL_ENV": str(tmp_path)})
    assert here.verdict == "ok" and sys.executable in here.message
    assert other.verdict == "warning" and other.fix.startswith(f"run {tmp_path}/bin/openrtc")
    assert len(list(check_python({"VIRTUAL_ENV": sys.prefix}))) == 1


def test_a_wrong_version_of_what_is_vital_is_a_fault_and_of_others_a_warning(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("openrtc-core", requires=["livekit-agents<1.9,>=1.8", "rich>=13"])
    site.add("livekit-agents", version="1.5.0")
    site.add("rich", version="1.0")
    monkeypatch.setattr("sys.path", [str(site.folder)])
    found = {one.message: one for one in check_requirements()}
    assert [one.verdict for one in found.values()] == ["fault", "warning"]
    assert "openrtc-core needs livekit-agents<1.9,>=1.8, and livekit-agents 1.5.0 is installed" in found
    assert all("install" in one.fix for one in found.values())


def test_what_pip_has_left_is_told_with_the_command_that_removes_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("acme")
    (site.folder / "~cme_agent").mkdir()
    (found,) = find_leftovers(site, monkeypatch)
    assert (found.verdict, found.fix) == ("warning", f"rm -r '{site.folder}/~cme_agent'")


def test_an_editable_installation_whose_folder_is_gone_is_a_fault(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    source = site.folder.parent / "my source"
    info = site.add("acme-agent")
    origin = {"url": source.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(origin))
    (found,) = find_leftovers(site, monkeypatch)
    assert found.verdict == "fault" and f"{source}, which is gone" in found.message
    assert "uninstall acme-agent" in found.fix
    source.mkdir()
    assert [one.verdict for one in find_leftovers(site, monkeypatch)] == ["ok"]


def test_a_package_of_which_only_metadata_is_left_is_a_fault_and_one_without_a_file_is_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"acme/__init__.py": "", "acme/a.py": "", "acme/b.py": "", "acme/tests/c.py": ""}
    site.add("acme", files=files, record=[f"{path},," for path in files], version="2.5")
    (site.folder / "acme" / "b.py").unlink()
    shutil.rmtree(site.folder / "acme" / "tests")
    assert [one.verdict for one in find_leftovers(site, monkeypatch)] == ["ok"]
    shutil.rmtree(site.folder / "acme")
    (found,) = find_leftovers(site, monkeypatch)
    assert found.message == "acme 2.5 is half uninstalled: 3 of its 3 files are gone"
    assert "install --force-reinstall --no-deps acme==2.5" in found.fix


def test_where_openrtc_itself_cannot_be_imported_the_installation_is_looked_at() -> None:
    found = {one.name: one for one in examine_installation(ModuleNotFoundError("No module named 'pluggy'"), {})}
    assert found["packages"].verdict == "fault" and "No module named 'pluggy'" in found["packages"].message
    assert found["python"].verdict == "ok"
