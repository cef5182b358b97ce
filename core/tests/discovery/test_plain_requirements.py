from __future__ import annotations

import itertools
import platform

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from openrtc.discovery.metadata_folders import Installed
from openrtc.discovery.plain_requirements import is_plainly_met, meets_plainly, python_version

SIGNS = (">=", "<=", "==", "!=", "~=", "<", ">")
VERSIONS = ("0", "1", "1.0", "1.0.0", "1.1", "1.2.3", "1.10", "2", "2.0.1", "10.0", "2025.12.1")


def test_plain_releases_compare_as_packaging_compares_them() -> None:
    for sign, limit, version in itertools.product(SIGNS, VERSIONS, VERSIONS):
        if sign == "~=" and "." not in limit:
            continue  # it has no meaning: packaging refuses it
        expected = SpecifierSet(f"{sign}{limit}").contains(version)
        assert meets_plainly(f"{sign} {limit}", version) == expected, (sign, limit, version)


@pytest.mark.parametrize("version", ["1.0rc1", "1.0+local", "1!1.0", "v1", "", "1.0.post1", "1" * 5000])
def test_what_is_no_plain_release_is_left_open(version: str) -> None:
    assert not meets_plainly(">=0", version)


@pytest.mark.parametrize("clauses", ["~=1", ">=1.*", "==1.*", "===1", ">=1;", ">=1 <2", ",", "=>1"])
def test_what_is_no_plain_clause_is_left_open(clauses: str) -> None:
    assert not meets_plainly(clauses, "1")


MARKERS = [
    "python_version >= '3.8'",
    "python_version < '3'",
    'python_version<"3.100"',
    "python_version == '2.7'",
    "python_full_version >= '3.11.0'",
    "python_version >= '3.8' and python_version != '3.9'",
    "sys_platform == 'linux'",
    'sys_platform != "win32" and python_version > "3"',
    "sys_platform == 'win32'",
]


@pytest.mark.parametrize("marker", MARKERS)
def test_plain_markers_mean_what_packaging_says(marker: str) -> None:
    parsed = Requirement(f"lib>=1; {marker}").marker
    assert parsed is not None
    asked = parsed.evaluate({"extra": ""})
    installed = {"lib": Installed("lib", "lib", "0.5")}
    assert is_plainly_met(f"lib>=1; {marker}", (), installed) == (not asked)
    assert is_plainly_met(f"lib<1 ;{marker}", (), installed)


@pytest.mark.parametrize(
    "marker",
    [
        "",
        "os_name == 'posix'",
        "python_version >= '3' or os_name == 'x'",
        "'3' <= python_version",
        "(python_version >= '3')",
        "python_version in '3.11'",
        "python_version >= '3.x'",
        "sys_platform == 'linux' and extra == 'x'",
    ],
)
def test_other_markers_are_left_open(marker: str) -> None:
    assert not is_plainly_met(f"lib; {marker}", (), {"lib": Installed("lib", "lib", "0.5")})


def test_the_version_of_python_is_what_the_standard_library_says() -> None:
    assert python_version() == platform.python_version()
