from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.doctor import model_files
from openrtc.doctor.model_files import check_model_files, find_cache, judge_model_files

if TYPE_CHECKING:
    from conftest import Site

SOURCE = """
raise SystemExit("imported")
from huggingface_hub import hf_hub_download
REPO, FILE = "x", "y"
HG_MODEL: str = "acme/turns"
OTHER = "acme/turns/of.day"
class AcmePlugin:
    def download_files(self): hf_hub_download(HG_MODEL, "a.onnx")
"""


def test_a_plugin_of_whose_models_nothing_is_in_the_cache_is_a_warning(tmp_path: Path) -> None:
    (found,) = judge_model_files({"livekit.plugins.acme": ["acme/turns"]}, tmp_path)
    assert (found.verdict, found.fix) == ("warning", "openrtc download-files")
    assert "acme/turns" in found.message and str(tmp_path) in found.message
    file = tmp_path / "models--acme--turns" / "snapshots" / "abc" / "a.onnx"
    file.parent.mkdir(parents=True)
    file.touch()
    (found,) = judge_model_files({"livekit.plugins.acme": ["acme/turns"]}, tmp_path)
    assert found.verdict == "ok"


def test_what_a_plugin_downloads_is_read_from_its_source_and_nothing_is_imported(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("lk-acme", files={"lkp/acme/__init__.py": SOURCE, "lkp/quiet/__init__.py": "x = 'a/b'"})
    monkeypatch.setattr(model_files, "NAME_SPACE", "lkp")
    (found,) = check_model_files({"HF_HUB_CACHE": str(tmp_path)})
    assert "lkp.acme needs acme/turns, of" in found.message


def test_the_cache_is_where_the_hubs_variables_say() -> None:
    assert find_cache({"HF_HUB_CACHE": "/c"}) == Path("/c")
    assert find_cache({"HF_HOME": "/h"}) == Path("/h/hub")
    assert find_cache({"XDG_CACHE_HOME": "/x"}) == Path("/x/huggingface/hub")
