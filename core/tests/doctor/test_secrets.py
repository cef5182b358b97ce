from __future__ import annotations

from openrtc.doctor.secrets import blank_secrets, leave_out_secrets, list_secrets
from openrtc.model.check_result import CheckResult
from openrtc.settings.config import Config, WorkerSettings
from openrtc.settings.env_files import EnvFiles

WORKER = WorkerSettings(url="wss://me:hunter2@rtc.example", api_key="APIkeykey", api_secret="the-secret-of-all")
CONFIG = Config(worker=WORKER, env_files=EnvFiles({"ACME_TOKEN": "tok-123456"}))


def test_nothing_that_is_printed_holds_a_secret_whoever_has_written_it() -> None:
    secrets = list_secrets(CONFIG, {"OPENAI_API_KEY": "sk-abcdef", "SHORT_KEY": "on", "HOME": "/home/somebody"})
    text = "APIkeykey the-secret-of-all tok-123456 sk-abcdef on /home/somebody redis://u:p@host/1"
    given = CheckResult(name="x", verdict="fault", message=text, fix=text, location=text)
    (found,) = blank_secrets([given], secrets)
    assert found.message == "… … … … on /home/somebody redis://host/1"
    assert found.fix == found.location == found.message


def test_what_everybody_knows_is_no_secret() -> None:
    public = Config(worker=WorkerSettings(api_key="devkey", api_secret="secret"))
    assert list_secrets(public, {}) == frozenset()


def test_plugins_get_the_settings_without_secrets() -> None:
    left = leave_out_secrets(CONFIG)
    assert (left.worker.url, left.worker.api_key, left.worker.api_secret) == ("wss://rtc.example", "", "")
    assert left.env_files.variables == {}
