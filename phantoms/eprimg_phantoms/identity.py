"""Names of things: unique identifiers from the seed, dates, numbers as DICOM text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import numpy as np


@dataclass(frozen=True)
class Identity:
    """Source of identifiers: equal inputs give equal identifiers, on every machine.

    Attributes
    ----------
    scene, size : str
        What is written.
    seed : int
        Seed of the noise.
    variant : str
        Variant of the scene: the same patient, other files.
    """

    scene: str
    size: str
    seed: int
    variant: str = ""

    def uid(self, *parts: object) -> str:
        """Return a UID below the 2.25 root, from the hash of the identity and ``parts``."""
        which = (self.variant,) if self.variant else ()
        text = "/".join(str(x) for x in (self.scene, self.size, self.seed, *which, *parts))
        return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"

    def rng(self, *parts: object) -> np.random.Generator:
        """Return the random generator of one purpose; purposes do not disturb each other."""
        which = (self.variant,) if self.variant else ()
        digest = hashlib.sha256("/".join(str(x) for x in (*which, *parts)).encode()).digest()
        return np.random.default_rng([self.seed, int.from_bytes(digest[:8], "big")])

    @property
    def patient_id(self) -> str:
        """Invented patient number."""
        return f"PHANTOM-{self.scene.upper()}-{self.seed:04d}"

    @property
    def patient_name(self) -> str:
        """Invented patient name."""
        return f"Phantom^{self.scene.capitalize()}"


def ds(value: float) -> str:
    """Return a number as DICOM decimal string (at most 16 characters)."""
    text = f"{value:.10g}"
    return text if len(text) <= 16 else f"{value:.8g}"


def da(instant: datetime) -> str:
    """Return a DICOM date."""
    return instant.strftime("%Y%m%d")


def tm(instant: datetime) -> str:
    """Return a DICOM time with microseconds."""
    return instant.strftime("%H%M%S.%f")


def dt(instant: datetime) -> str:
    """Return a DICOM date-time with microseconds."""
    return instant.strftime("%Y%m%d%H%M%S.%f")
