from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from openrtc.errors import OpenRTCError
from openrtc.model.hookspecs import hookimpl
from openrtc.model.provider import Provider, ProviderContext
from openrtc.plugins.hooks import Hooks
from openrtc.runtime.providers import MODEL_KINDS, Providers, describe_model

CONTEXT = ProviderContext(agent_name="support", agent=None)


class Acme:
    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem

    def available(self) -> str | None:
        return self.problem

    def stt(self, model: str, context: ProviderContext) -> Any:
        return ("stt", model, context.agent_name)

    def llm(self, model: str, context: ProviderContext) -> Any:
        return ("llm", model, context.agent_name)

    def tts(self, model: str, context: ProviderContext) -> Any:
        raise OpenRTCError("acme has no voices")


def plugin(distribution: str, result: Any) -> Any:
    @hookimpl
    def openrtc_providers() -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    target = SimpleNamespace(openrtc_providers=openrtc_providers)
    return SimpleNamespace(name=f"{distribution}:x", distribution=distribution, target=target)


def test_a_model_string_goes_to_the_provider_of_its_scheme() -> None:
    providers = Providers(Hooks([plugin("acme-pkg", {"acme": Acme()})]))
    assert providers.schemes == ("acme",)
    assert providers.build("llm", "acme:small", CONTEXT) == ("llm", "small", "support")
    assert providers.build("stt", "acme:", CONTEXT) == ("stt", "", "support")
    assert isinstance(Acme(), Provider)


@pytest.mark.parametrize("model", ["openai/gpt-4.1-mini", "deepgram/nova-3:en", "cartesia/sonic-3:voice-1", "other:x"])
def test_every_other_string_is_left_to_livekit_agents(model: str) -> None:
    assert Providers(Hooks([plugin("acme-pkg", {"acme": Acme()})])).build("llm", model, CONTEXT) == model


def test_a_callable_gives_a_fresh_model_and_an_instance_stays_itself() -> None:
    providers, instance = Providers(Hooks()), SimpleNamespace(chat=None)
    assert providers.build("llm", lambda: "fresh", CONTEXT) == "fresh"
    assert providers.build("llm", instance, CONTEXT) is instance


def test_a_provider_that_cannot_be_used_says_why_in_one_line() -> None:
    providers = Providers(Hooks([plugin("acme-pkg", {"acme": Acme("no engine; apt install acme")})]))
    with pytest.raises(OpenRTCError, match="acme-pkg: llm 'acme:' cannot be used here: no engine; apt install acme"):
        providers.build("llm", "acme:", CONTEXT)


class Deaf(Acme):
    def missing(self, kind: str) -> str | None:
        if kind == "llm":
            raise RuntimeError("no idea")
        return "no ears; text works" if kind == "stt" else None


def test_a_provider_may_lack_one_kind_of_models_and_build_the_others() -> None:
    providers = Providers(Hooks([plugin("acme-pkg", {"acme": Deaf(), "old": Acme()})]))
    assert isinstance(Deaf(), Provider)
    assert providers.why_unavailable("acme") is None
    assert providers.why_unavailable("acme", "stt") == "no ears; text works"
    assert providers.why_unavailable("acme", "tts") is None
    assert providers.why_unavailable("acme", "llm") == "acme-pkg: RuntimeError: no idea"
    assert providers.why_unavailable("old", "stt") is None
    with pytest.raises(OpenRTCError, match="acme-pkg: stt 'acme:' cannot be used here: no ears; text works"):
        providers.build("stt", "acme:", CONTEXT)
    with pytest.raises(OpenRTCError, match="acme has no voices"):
        providers.build("tts", "acme:", CONTEXT)


def test_of_a_provider_that_cannot_be_used_no_kind_is_asked_for() -> None:
    unusable = Deaf("no licence")
    providers = Providers(Hooks([plugin("acme-pkg", {"acme": unusable})]))
    assert [providers.why_unavailable("acme", kind) for kind in MODEL_KINDS] == ["no licence"] * 3


def test_offline_models_without_their_plugin_name_the_plugin() -> None:
    with pytest.raises(OpenRTCError, match="openrtc-offline"):
        Providers(Hooks()).build("llm", "offline:", CONTEXT)


@pytest.mark.parametrize("bad", [ValueError("boom"), SystemExit(1), ["acme"], None])
def test_a_hook_that_fails_is_one_line_and_the_others_are_used(bad: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        providers = Providers(Hooks([plugin("bad-pkg", bad), plugin("acme-pkg", {"acme": Acme()})]))
    assert providers.schemes == ("acme",)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["bad-pkg"]


def test_two_providers_of_one_scheme_are_told_and_settled_by_prefer(caplog: pytest.LogCaptureFixture) -> None:
    both = [plugin("One_Pkg", {"acme": Acme()}), plugin("two-pkg", {"acme": Acme("worse")})]
    with caplog.at_level(logging.ERROR):
        assert Providers(Hooks(both)).why_unavailable("acme") is None
    assert "One_Pkg and two-pkg" in caplog.text
    caplog.clear()
    assert Providers(Hooks(both), {"acme": "two-pkg"}).why_unavailable("acme") == "worse"
    assert Providers(Hooks(both), {"acme": "one-pkg"}).why_unavailable("acme") is None
    assert not caplog.records


def test_only_the_providers_in_use_are_prewarmed_and_one_that_raises_is_told(caplog: pytest.LogCaptureFixture) -> None:
    warmed: list[str] = []

    class Warm(Acme):
        def prewarm(self) -> None:
            warmed.append("warm")

    class Cold(Acme):
        def prewarm(self) -> None:
            raise RuntimeError("no fire")

    providers = Providers(
        Hooks([plugin("a", {"warm": Warm(), "idle": Warm()}), plugin("b", {"cold": Cold(), "none": Acme()})])
    )
    providers.prewarm(["warm:x", "warm:", "openai/gpt", None, Warm(), "cold:", "none:"])
    assert warmed == ["warm"]
    assert "b: prewarming 'cold' models: RuntimeError('no fire')" in caplog.text


def test_a_model_is_described_in_words() -> None:
    assert [describe_model(None), describe_model("a/b"), describe_model(Acme())] == ["", "a/b", "instance of Acme"]
