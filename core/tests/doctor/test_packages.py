from __future__ import annotations

import logging
from collections.abc import Iterable

from openrtc.catalog.loaded import LoadedAgent
from openrtc.discovery.entries import AGENTS_GROUP, PLUGINS_GROUP, Entry
from openrtc.doctor.packages import check_agents, check_entries, check_imports, check_plugins, check_policy
from openrtc.model.check_result import CheckResult
from openrtc.model.lack import Lack
from openrtc.model.status import READY, State, Status
from openrtc.settings.config import Config, Policy, RoutingSettings

BROKEN = Status(State.BROKEN, "it raises", "fix it", "acme.py:3")
MODELS = Lack("models", "stt and llm", "name them")
KEY = Lack("key", "ACME_API_KEY, which acme.LLM needs", "set ACME_API_KEY")


def entry(name: str, status: Status = READY, group: str = AGENTS_GROUP) -> Entry:
    return Entry(group=group, name=name, value="acme:A", distribution="acme-agent", version="1.0", status=status)


def agent(name: str, status: Status = READY, *lacks: Lack, members: tuple[str, ...] = ()) -> LoadedAgent:
    return LoadedAgent(name=name, entry=entry(name), status=status, lacks=lacks, members=members)


def tell(found: Iterable[CheckResult]) -> list[tuple[str, str, str, str]]:
    return [(one.name, one.verdict, one.message, one.fix) for one in found]


def test_an_agent_that_cannot_be_used_is_a_fault_with_its_distribution_and_place() -> None:
    first, second = check_agents([agent("desk", BROKEN), agent("sales")], Config())
    assert tell([first]) == [("agent desk", "fault", "broken, of acme-agent: it raises", "fix it")]
    assert first.location == "acme.py:3"
    assert second.message == "1 ready: sales"


def test_what_is_known_before_the_import_is_told_once() -> None:
    broken = entry("desk", BROKEN)
    assert [one.name for one in check_entries([broken])] == ["agent desk"]
    rows = [LoadedAgent(name="desk", entry=broken, status=BROKEN)]
    assert "agent desk" not in [one.name for one in check_agents(rows, Config())]


def test_agents_that_lack_the_same_are_one_line_and_casts_of_them_are_not_ready() -> None:
    rows = [agent("a", READY, KEY), agent("b", READY, KEY), agent("c"), agent("d", members=("a", "c"))]
    lacking, ready = check_agents(rows, Config())
    assert lacking.verdict == "warning"
    assert lacking.message == "a, b cannot answer: they lack ACME_API_KEY, which acme.LLM needs"
    assert ready.message == "1 ready: c"


def test_where_every_agent_lacks_models_no_worker_would_start() -> None:
    fault, *_ = check_agents([agent("a", READY, MODELS)], Config())
    assert tell([fault]) == [("agents", "fault", "no agent can answer: 'a' lacks stt and llm", "name them")]


def test_a_default_that_is_not_ready_is_a_fault() -> None:
    config = Config(routing=RoutingSettings(default="desk"))
    found = list(check_agents([agent("desk", BROKEN), agent("sales")], config))
    assert ("routing", "fault") in [(one.name, one.verdict) for one in found]


def test_an_agent_that_works_in_company_alone_is_a_warning() -> None:
    row = LoadedAgent(name="desk", entry=entry("desk"), status=READY, alone=BROKEN, because_of="other")
    found = next(check_agents([row], Config()))
    assert tell([found]) == [("agent desk", "warning", "broken alone, and works after other: it raises", "fix it")]


def test_what_the_operator_shuts_out_is_told_and_is_no_fault_unless_nothing_is_left() -> None:
    denied = Status(State.DISABLED, "denied by the operator", "take it out of deny")
    config = Config(policy=Policy(deny=("acme-agent",)))
    (found,) = check_policy(config, [entry("desk", denied), entry("sales")])
    assert tell([found]) == [("policy", "ok", "deny shuts out desk of acme-agent", "")]
    assert [one.verdict for one in check_policy(config, [entry("desk", denied)])] == ["ok", "warning"]
    assert not list(check_entries([entry("desk", denied)]))


def test_a_distribution_that_is_required_and_missing_is_a_fault() -> None:
    (found,) = check_policy(Config(policy=Policy(require=("acme-router",))), [])
    assert found.verdict == "fault" and "which is not installed" in found.message


def test_plugins_that_cannot_be_loaded_are_faults() -> None:
    entries = [entry("desk"), entry("vip", group=PLUGINS_GROUP), entry("crm", group=PLUGINS_GROUP)]
    fault, ready = check_plugins(entries, {0: READY, 1: BROKEN, 2: READY})
    assert (fault.name, fault.verdict, ready.message) == ("plugin vip", "fault", "1 ready: acme-agent:crm")


def test_what_imports_change_is_a_warning() -> None:
    (found,) = check_imports([(logging.WARNING, "acme 1.0 has changed the current folder: put back")])
    assert found.verdict == "warning" and found.fix
    assert [one.verdict for one in check_imports([])] == ["ok"]
