"""Digital reference objects for uptake imaging: scenes become real DICOM with a known truth.

The physics is written here from the cited sources and shares no code with any program that
reads the result.
"""

from eprimg_phantoms.make import make
from eprimg_phantoms.scene import available_scenes, load_scene
from eprimg_phantoms.vials import load_vials

__all__ = ["available_scenes", "load_scene", "load_vials", "make"]
