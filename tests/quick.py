"""A quick registration, for tests that need a run and say nothing about how well it is aligned."""

from __future__ import annotations

from pathlib import Path

from eprimg.config import Config

PROFILE = Path(__file__).with_name("quick-registration.toml")
"""Settings with a tenth of the default's sample points; the limits of the checks are the same."""

QUICK = Config().with_settings({"register": {"profile": str(PROFILE)}})
QUICK_ARGS = ("--set", f"register.profile={PROFILE}")
"""The same for the command line."""
