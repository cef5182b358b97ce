from __future__ import annotations

from pathlib import Path

import pytest

from openrtc.errors import OpenRTCError
from openrtc.installing.wanted import Wanted, read_wanted


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a project and a wheel."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-agent").mkdir()
    (tmp_path / "my-agent" / "pyproject.toml").write_text('[project]\nname = "My_Agent"\n')
    (tmp_path / "my_agent-1.0-py3-none-any.whl").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("some-agent", "some-agent"),
        ("Some_Agent[x]>=1,<2", "some-agent"),
        ("some-agent @ https://example.org/a.zip", "some-agent"),
        ("./my-agent", "my-agent"),
        ("./my-agent[extra]", "my-agent"),
        ("my_agent-1.0-py3-none-any.whl", "my-agent"),
        ("git+https://example.org/a.git#egg=some-agent", "some-agent"),
        ("git+https://example.org/a.git", ""),
        ("https://example.org/some_agent-2.0-py3-none-any.whl", "some-agent"),
    ],
)
def test_what_is_typed_goes_to_pip_as_it_is_and_its_name_is_known(text: str, key: str) -> None:
    assert read_wanted(text, editable=False, upgrade=False) == Wanted(text, key)


def test_a_folder_may_be_editable() -> None:
    wanted = read_wanted("my-agent", editable=True, upgrade=False)
    assert wanted == Wanted("my-agent", "my-agent", editable=True)
    assert wanted.is_direct


def test_one_of_ours_comes_from_where_the_core_came_from_and_is_never_asked_of_an_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openrtc.installing.wanted.find_named", dict)
    monkeypatch.setattr("openrtc.installing.wanted.find_source", lambda _: (True, "/there/openrtc-cost"))
    assert read_wanted("openrtc-cost", editable=False, upgrade=False).text == "/there/openrtc-cost"
    monkeypatch.setattr("openrtc.installing.wanted.find_source", lambda _: None)
    with pytest.raises(OpenRTCError, match="openrtc-cost stands on no package index"):
        read_wanted("openrtc-cost>=0.1", editable=False, upgrade=False)


@pytest.mark.parametrize(
    ("text", "editable", "upgrade", "said"),
    [
        ("--target=/", False, False, "'--target=/' is neither a package nor a path"),
        ("", False, False, "'nothing' is neither"),
        ("./nothing", False, False, "there is no ./nothing"),
        ("nothing", True, False, "there is no nothing"),
        ("nothing-1-py3-none-any.whl", False, False, "there is no nothing-1"),
        ("my-agent", False, False, "openrtc install -e ./my-agent"),
        ("plugy", False, True, 'plugy is not installed .did you mean "pluggy"'),
    ],
)
def test_what_cannot_be_meant_is_one_line(text: str, editable: bool, upgrade: bool, said: str) -> None:
    with pytest.raises(OpenRTCError, match=said):
        read_wanted(text, editable=editable, upgrade=upgrade)
