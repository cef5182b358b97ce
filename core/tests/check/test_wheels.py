"""Wheels are unpacked where nothing else is, and nowhere else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from openrtc.check.wheels import unpack_wheel
from openrtc.errors import OpenRTCError

METADATA = "pkg-1.0.dist-info/METADATA"


def pack(folder: Path, *names: str, file: str = "pkg-1.0-py3-none-any.whl") -> Path:
    """Make a wheel of files."""
    with zipfile.ZipFile(folder / file, "w") as archive:
        for name in names:
            archive.writestr(name, "text")
    return folder / file


def test_modules_and_metadata_are_there_and_scripts_are_not(tmp_path: Path) -> None:
    names = ("pkg/a.py", "pkg-1.0.data/purelib/pkg/b.py", "pkg-1.0.data/scripts/run", METADATA)
    wheel = pack(tmp_path, *names)
    unpack_wheel(wheel, tmp_path / "site")
    found = sorted(
        path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*") if path.is_file()
    )
    assert found == [METADATA, "pkg/a.py", "pkg/b.py"]


@pytest.mark.parametrize("name", ["../evil.py", "/evil.py", "pkg-1.0.data/purelib/../../evil.py", "..\\evil.py"])
def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    wheel = pack(tmp_path, name, METADATA)
    with pytest.raises(OpenRTCError, match="leads out of its folder"):
        unpack_wheel(wheel, tmp_path / "site")
    assert not list(tmp_path.rglob("evil.py"))


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("pkg-1.0-cp27-none-win32.whl", "it is for cp27-none-win32, which this Python is not"),
        ("pkg.whl", "its name is none of a wheel"),
    ],
)
def test_a_wheel_for_another_python_and_a_name_of_none_are_told(tmp_path: Path, file: str, reason: str) -> None:
    with pytest.raises(OpenRTCError, match=reason):
        unpack_wheel(pack(tmp_path, METADATA, file=file), tmp_path / "site")


def test_what_is_no_archive_or_has_no_metadata_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "pkg-1.0-py3-none-any.whl"
    broken.write_bytes(b"no archive")
    with pytest.raises(OpenRTCError, match="it cannot be unpacked: BadZipFile"):
        unpack_wheel(broken, tmp_path / "site")
    with pytest.raises(OpenRTCError, match=r"no \.dist-info folder"):
        unpack_wheel(pack(tmp_path, "pkg.py"), tmp_path / "site")
