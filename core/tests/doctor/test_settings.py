from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from openrtc.doctor.settings import check_credentials, check_settings
from openrtc.errors import OpenRTCError
from openrtc.settings.config import Config, WorkerSettings
from openrtc.settings.load import load_config

WHOLE = {"LIVEKIT_URL": "ws://127.0.0.1:7880", "LIVEKIT_API_KEY": "APIkeykey", "LIVEKIT_API_SECRET": "s3cret" * 6}


def load(environ: dict[str, str], folder: Path) -> tuple[Config, list[OpenRTCError]]:
    errors: list[OpenRTCError] = []
    return load_config(environ=environ, folder=folder, refuse=errors.append), errors


def test_each_mistake_in_the_settings_is_a_line_and_the_rest_holds(tmp_path: Path) -> None:
    (tmp_path / "openrtc.toml").write_text('[worker]\nprot = 1\nport = 9000\nmax_sessions = "many"\n[nothing]\n')
    config, errors = load({"OPENRTC_MAX_RETRY": "often"}, tmp_path)
    assert (config.worker.port, config.worker.max_sessions) == (9000, 50)
    found = list(check_settings(config, errors, ["deny names nobody (there are: a)"]))
    assert [one.verdict for one in found] == ["fault", "fault", "fault", "fault", "warning"]
    assert [one.location.rpartition("/")[2] for one in found[:4]] == [
        "openrtc.toml:2",
        "openrtc.toml:4",
        "openrtc.toml:5",
        "OPENRTC_MAX_RETRY",
    ]
    assert all(one.fix for one in found)
    assert (found[4].message, found[4].fix) == ("deny names nobody", "there are: a")


def test_a_file_that_is_no_toml_is_one_line_and_the_environment_counts(tmp_path: Path) -> None:
    (tmp_path / "openrtc.toml").write_text("[worker\n")
    config, errors = load(WHOLE, tmp_path)
    assert len(errors) == 1 and config.worker.api_key == "APIkeykey"


def test_credentials_are_told_by_where_they_stand_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LIVEKIT_API_KEY=APIkeykey\n")
    config, _ = load({name: text for name, text in WHOLE.items() if name != "LIVEKIT_API_KEY"}, tmp_path)
    (found,) = check_credentials(config, None)
    assert found.verdict == "ok"
    assert "LIVEKIT_API_KEY from .env, LIVEKIT_API_SECRET from the environment" in found.message
    assert "APIkeykey" not in repr(found) and "s3cret" not in repr(found)


def test_no_server_is_a_warning_and_half_of_one_a_fault(tmp_path: Path) -> None:
    (nothing,) = check_credentials(load({}, tmp_path)[0], None)
    (half,) = check_credentials(load({"LIVEKIT_URL": "ws://x"}, tmp_path)[0], None)
    assert (nothing.verdict, half.verdict) == ("warning", "fault")
    assert "LIVEKIT_API_KEY, LIVEKIT_API_SECRET" in half.message
    (local,) = check_credentials(load({}, tmp_path)[0], WorkerSettings())
    assert local.verdict == "ok"


def test_quotation_marks_and_spaces_within_a_secret_are_faults(tmp_path: Path) -> None:
    config, _ = load(WHOLE, tmp_path)
    for wrong, said in (('"s3cret"', "quotation mark"), ("s3 cret", "space")):
        changed = replace(config, worker=replace(config.worker, api_secret=wrong))
        fault = list(check_credentials(changed, None))[-1]
        assert fault.verdict == "fault" and said in fault.message and "s3" not in repr(fault)
