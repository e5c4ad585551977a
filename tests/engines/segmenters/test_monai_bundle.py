"""The adapter of MONAI bundles against a stand-in with its command line."""

from __future__ import annotations

import numpy as np

from eprimg.engines.segmenters.conformance import conformance_volume
from eprimg.engines.segmenters.monai_bundle import MonaiBundleSegmenter
from tests.engines.segmenters.model_setups import net, settings


def test_a_bundle_is_run_and_its_output_found(tmp_path):
    bundle = tmp_path / "bundle"
    net(bundle / "models" / "net.npz")
    (bundle / "configs").mkdir()
    (bundle / "configs" / "inference.yaml").write_text("{}")
    made = MonaiBundleSegmenter(settings(bundle, "monai"))
    found = made.segment([conformance_volume()]).regions
    np.testing.assert_array_equal(found.labels == 1, conformance_volume().values > 4)
    assert made.environment(bundle, tmp_path)["PYTHONPATH"] == str(bundle)
    command = made.command(bundle, tmp_path, [])
    assert str(bundle / "configs" / "inference.yaml") in command
