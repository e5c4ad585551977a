"""One thing for each viewer, gone with it."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from weakref import ref

from napari_eprimg.lesions.one_per_viewer import one_per_viewer


class Viewer:
    """Anything that can be kept weakly."""


def test_each_viewer_has_its_own_and_the_proxy_has_the_same() -> None:
    made = []

    def make(viewer: Viewer) -> list[int]:
        made.append(id(viewer))
        return [len(made)]

    of, (one, other) = one_per_viewer(make), (Viewer(), Viewer())
    assert of(one) is of(one)
    assert of(SimpleNamespace(__wrapped__=one)) is of(one)
    assert of(other) == [2]
    assert len(made) == 2


def test_nothing_is_kept_of_a_viewer_that_is_gone() -> None:
    of, viewer = one_per_viewer(lambda viewer: Viewer()), Viewer()
    what = ref(of(viewer))
    assert what() is not None
    del viewer
    gc.collect()
    assert what() is None
