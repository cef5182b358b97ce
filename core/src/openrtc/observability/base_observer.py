"""As `openrtc.observability`."""

from __future__ import annotations

from openrtc.model.observer import SessionInfo, SessionObserver, SessionOutcome, SessionStatus

__all__ = ["SessionInfo", "SessionObserver", "SessionOutcome", "SessionStatus"]
