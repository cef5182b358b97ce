"""A setting that goes in some release works on until then, and a worker says what to use."""

from __future__ import annotations

from pathlib import Path

import pytest

from openrtc.settings import load as load_module
from openrtc.settings.config import SETTINGS, Config
from openrtc.settings.load import load_config


def load(folder: Path, toml: str, environ: dict[str, str] | None = None) -> Config:
    (folder / "openrtc.toml").write_text(toml, encoding="utf-8")
    return load_config(environ=environ or {}, folder=folder)


@pytest.fixture
def one_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As though ``[worker] max_retry`` had got the name ``break_seconds``."""
    settings = [
        one._replace(goes="0.5", use="worker.break_seconds") if one.path == "worker.max_retry" else one
        for one in SETTINGS
    ]
    monkeypatch.setattr(load_module, "SETTINGS", settings)


@pytest.mark.usefixtures("one_that_goes")
def test_a_setting_that_goes_is_used_still_and_told_with_its_place_and_what_to_use(tmp_path: Path) -> None:
    config = load(tmp_path, "[worker]\nmax_retry = 7\n")
    assert (config.worker.max_retry, config.worker.break_seconds) == (7, 7)
    (line,) = config.deprecations
    assert line == f"{tmp_path / 'openrtc.toml'}:2: [worker] max_retry goes in 0.5: use [worker] break_seconds"
    assert config.origins["worker.break_seconds"] == f"{tmp_path / 'openrtc.toml'}:2"


@pytest.mark.usefixtures("one_that_goes")
def test_the_setting_to_use_outweighs_the_one_that_goes_wherever_they_stand(tmp_path: Path) -> None:
    config = load(tmp_path, "[worker]\nbreak_seconds = 3\n", environ={"OPENRTC_MAX_RETRY": "7"})
    assert (config.worker.break_seconds, len(config.deprecations)) == (3, 1)
    assert config.deprecations[0].startswith("OPENRTC_MAX_RETRY: ")


@pytest.mark.usefixtures("one_that_goes")
def test_who_does_not_use_the_setting_that_goes_is_told_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, "[worker]\nbreak_seconds = 3\n").deprecations == ()


def test_what_takes_the_place_of_a_setting_is_a_setting_of_its_kind() -> None:
    kinds = {one.path: one.kind for one in SETTINGS}
    assert [one.path for one in SETTINGS if one.use and kinds[one.use] != one.kind] == []
