"""Which workers may upload what is recorded of their calls."""

from __future__ import annotations

import pytest

from openrtc.worker.recording_uploads import VARIABLE, may_upload_recordings


@pytest.mark.parametrize(
    ("url", "variables", "uploads"),
    [
        ("wss://mine.livekit.cloud", {}, True),
        ("ws://localhost:7880", {}, False),
        ("ws://localhost:7880", {VARIABLE: ""}, False),
        ("ws://localhost:7880", {VARIABLE: "https://observe.example"}, True),
    ],
)
def test_a_worker_of_livekit_cloud_may_and_one_that_is_told_where_to(
    url: str, variables: dict[str, str], uploads: bool
) -> None:
    assert may_upload_recordings(url, variables) is uploads
