"""Net influx and permeability index of every voxel against closed forms.

Blood falls as B0 exp(-k t); tissue holds Ki times the integral of blood plus V times blood, so a
Patlak plot through any sessions is a straight line (Patlak et al., J Cereb Blood Flow Metab
1983;3:1-7, doi:10.1038/jcbfm.1983.1).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import linregress

from eprimg.config import KineticsConfig
from eprimg.io.blood_samples import load_plasma
from eprimg.model.plasma import PlasmaInput
from eprimg.model.study import Study, Timepoint
from eprimg.stages.influx_maps import INFLUX_KEYS, influx_maps
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify

HOURS = {"pet_2": 24.0, "pet_3": 72.0, "pet": 144.0}
B0, RATE = 18.0, np.log(2.0) / 40.0  # %ID/kg, per hour
KI = {"lesion": 0.01, "liver": 0.03, "background": 0.002}  # per hour
V = {"lesion": 0.3, "liver": 0.2, "background": 0.05}  # without unit
ALL = "pet/pet_3/pet_2"


def blood_at(hours):
    return B0 * np.exp(-RATE * np.asarray(hours))


def integral_at(hours):
    return B0 * (1.0 - np.exp(-RATE * np.asarray(hours))) / RATE


def tissue_at(name, hours):
    """%ID/kg, decay-corrected to the injection."""
    if name == "blood":
        return blood_at(hours)
    return KI[name] * integral_at(hours) + V[name] * blood_at(hours)


@pytest.fixture
def sessions(scene):
    """Three sessions on one grid; the scanner's Bq/mL have decayed since the injection."""
    points = []
    for key, hours in HOURS.items():
        decay = 2.0 ** (-hours * 3600.0 / scene.half_life_s)
        to_bq = scene.dose_bq / 1e5 * decay  # 1 mL taken as 1 g
        values = np.full(scene.shape, tissue_at("background", hours) * to_bq)
        for name in ("lesion", "liver", "blood"):
            values[scene.boxes[name]] = tissue_at(name, hours) * to_bq
        at = scene.injected + timedelta(hours=hours)
        facts = scene.pet_acquisition(hours_after_injection=hours, reference_instant=at)
        series = replace(scene.pet_series("pet", facts, values), key=key)
        points.append(Timepoint(key, at, (series,)))
    return Study("case-1", tuple(points))


def registrations(scene):
    """The last session carries the reference grid; the others lie where it lies."""
    moved = ("pet_2", "pet_3")
    return tuple(scene.registration(k, fixed="pet", fixed_frame="pet", frame="pet") for k in moved)


def measured(scene, sessions, *, names=("lesion", "liver", "blood"), config=None, plasma=None):
    config = config or scene.config
    moved = registrations(scene)
    made = quantify(sessions, moved, config).value
    regions = scene.region_set("pet", names=names)
    return measure(sessions, moved, made.maps, made.registered, regions, config, plasma=plasma)


def inner(scene, name):
    """A box less one voxel on each side: splines ring there."""
    return tuple(slice(b.start + 1, b.stop - 1) for b in scene.boxes[name])


def number(result, name, quantity, source):
    region = next(r for r in result.value.lesions.regions if r.name == name)
    return next(m for m in region.measurements if (m.quantity, m.source) == (quantity, source))


def test_every_voxel_has_the_influx_of_its_tissue_and_of_its_lesion(scene, sessions):
    result = measured(scene, sessions)
    found, index = (result.value.registered[key] for key in INFLUX_KEYS)
    for name in ("lesion", "liver"):
        box = inner(scene, name)
        assert found.values[box] == pytest.approx(KI[name], rel=1e-4)
        # A uniform lesion and its voxels tell the same.
        ki = number(result, name, "patlak_ki", ALL).value
        assert found.values[box] == pytest.approx(ki, rel=1e-4)
        early, late = (tissue_at(name, h) - blood_at(h) for h in (24.0, 72.0))
        assert index.values[box] == pytest.approx((late - early) / 48.0, rel=1e-4)
        slope = number(result, name, "permeability_index", "pet_3/pet_2").value
        assert index.values[box] == pytest.approx(slope, rel=1e-4)
    assert found.values[inner(scene, "blood")] == pytest.approx(0.0, abs=1e-6)
    assert (found.quantity.key, found.sources) == ("patlak_ki", ("pet_2", "pet_3", "pet"))
    assert "24.0 h" in found.method
    assert "the blood region of 3 sessions" in found.method
    assert index.standard_error is None
    assert not [f for f in result.findings if f.code == "I_NO_INFLUX_MAP"]


def test_the_error_of_a_voxel_is_that_of_a_straight_line(scene, sessions):
    """Oracle: scipy.stats.linregress over the closed forms, with noise on one voxel."""
    made = measured(scene, sessions)
    registered = dict(quantify(sessions, registrations(scene), scene.config).value.registered)
    voxel = (6, 14, 10)
    noise = dict(zip(HOURS, (0.2, -0.3, 0.25), strict=True))
    for key, more in noise.items():
        name = "pid_per_kg" + key.removeprefix("pet")
        values = np.array(registered[name].values)
        values[voxel] = tissue_at("lesion", HOURS[key]) + more
        registered[name] = replace(registered[name], values=values)
    # Samples without errors on the exact curve: their fit adds next to nothing to the error.
    hours = np.array([1.0, 12.0, 24.0, 48.0, 96.0, 150.0])
    activity = blood_at(hours) * scene.dose_bq / 1e5
    samples = PlasmaInput(hours * 3600.0, activity, None, True, "6 samples")
    lesions = made.value.lesions
    found = influx_maps(sessions, registered, lesions, scene.config, plasma=samples)
    at = np.array(list(HOURS.values()))
    tissue = tissue_at("lesion", at) + np.array(list(noise.values()))
    line = linregress(integral_at(at) / blood_at(at), tissue / blood_at(at))
    ki = found.value["patlak_ki"]
    assert ki.values[voxel] == pytest.approx(line.slope, rel=1e-4)
    assert ki.standard_error[voxel] == pytest.approx(line.stderr, rel=1e-4)
    assert "6 samples" in ki.method


def test_noise_of_blood_is_in_the_error_of_a_voxel_as_in_that_of_a_lesion(scene, sessions):
    """Blood of +-5 % in turns: its mean stays, its error is known, and the input is what is left
    of the error of a lesion and of voxels that lie on the line."""
    wave = np.where(np.indices(scene.shape).sum(axis=0) % 2, 1.05, 0.95)
    points = []
    for point in sessions.timepoints:
        (series,) = point.series
        values = np.array(series.pixels.data)
        values[scene.boxes["blood"]] *= wave[scene.boxes["blood"]]
        series = replace(series, pixels=replace(series.pixels, data=values))
        points.append(replace(point, series=(series,)))
    result = measured(scene, replace(sessions, timepoints=tuple(points)))
    found = result.value.registered["patlak_ki"]
    lesion = number(result, "lesion", "patlak_ki", ALL)
    box = inner(scene, "lesion")
    assert found.values[box] == pytest.approx(KI["lesion"], rel=1e-3)
    # 108 voxels: 5 % / sqrt(108) is 0.5 % of each mean.
    assert 0.001 < lesion.uncertainty / lesion.value < 0.05
    assert found.standard_error[box] == pytest.approx(lesion.uncertainty, rel=1e-3)
    assert "and the errors of the input" in found.method


def test_a_voxel_that_one_session_missed_has_a_reason_and_no_influx(scene, sessions):
    made = measured(scene, sessions)
    registered = dict(made.value.registered)
    for key in INFLUX_KEYS:
        del registered[key]
    third = registered["pid_per_kg_3"]
    valid = np.array(third.valid)
    valid[0, 0, 0] = False
    registered["pid_per_kg_3"] = replace(third, valid=valid)
    found = influx_maps(sessions, registered, made.value.lesions, scene.config).value["patlak_ki"]
    assert np.isnan(found.values[0, 0, 0])
    assert np.isnan(found.standard_error[0, 0, 0])
    assert not found.valid[0, 0, 0]
    assert found.valid[0, 0, 1]
    assert found.reason_words[int(found.reason[0, 0, 0])] == "a value is NaN or infinite"


def test_two_sessions_give_a_line_without_error(scene, sessions):
    config = scene.config.with_assignments(["kinetics.patlak_start_h=48"])
    found = measured(scene, sessions, config=config).value.registered["patlak_ki"]
    assert found.values[inner(scene, "lesion")] == pytest.approx(KI["lesion"], rel=1e-4)
    assert np.isnan(found.standard_error).all()
    assert "no standard error, because every line fits two sessions" in found.method
    assert "pet_2 at" not in found.method


def test_a_session_that_is_not_aligned_is_left_out(scene, sessions):
    """The input still knows all three; the line goes through the voxels of the other two."""
    made = measured(scene, sessions)
    registered = {k: m for k, m in made.value.registered.items() if k not in INFLUX_KEYS}
    del registered["pid_per_kg_3"]
    found = influx_maps(sessions, registered, made.value.lesions, scene.config).value
    box = inner(scene, "liver")
    assert found["patlak_ki"].values[box] == pytest.approx(KI["liver"], rel=1e-4)
    early, late = (tissue_at("liver", h) - blood_at(h) for h in (24.0, 144.0))
    index = found["permeability_index"]
    assert index.values[box] == pytest.approx((late - early) / 120.0, rel=1e-4)
    assert index.sources == found["patlak_ki"].sources == ("pet_2", "pet")


def test_what_is_missing_is_said_and_nothing_old_stays(scene, sessions):
    made = measured(scene, sessions)
    lesions = made.value.lesions
    again = influx_maps(sessions, made.value.registered, lesions, scene.config).value
    # Nothing that enters has changed, so nothing is computed.
    assert all(again[key] is made.value.registered[key] for key in INFLUX_KEYS)
    late = scene.config.with_assignments(["kinetics.patlak_start_h=100"])
    few = influx_maps(sessions, made.value.registered, lesions, late)
    assert "patlak_ki" not in few.value
    assert ["needs three scans" in f.text for f in few.findings] == [True]

    lone = scene.region_set("pet", names=("lesion",))
    maps = quantify(sessions, registrations(scene), scene.config).value.maps
    bloodless = measure(
        sessions, registrations(scene), maps, made.value.registered, lone, scene.config
    )
    said = [f.text for f in bloodless.findings if f.code == "I_NO_INFLUX_MAP"]
    assert said == ["There is no map of the net influx Ki: there is no blood region."]
    assert not set(INFLUX_KEYS) & set(bloodless.value.registered)
    assert "uptake_auc" in bloodless.value.registered


def test_one_session_gives_no_map_and_no_word(scene):
    study = scene.study(scene.pet_series("pet"))
    found = influx_maps(study, {}, scene.region_set("pet"), scene.config)
    assert (found.value, found.findings) == ({}, ())


@pytest.mark.parametrize(
    ("counter", "stated", "ratio", "code"),
    [
        (1.0, 1.08, 1.0, "I_WELL_COUNTER"),
        # Uptake and blood are both divided by k D, but the samples never had the k: the influx
        # is k times too high, and said to be doubtful.
        (1.0, 1.0, 1.08, "W_WELL_COUNTER"),
        (1.08, 1.0, 1.0, "W_WELL_COUNTER"),
        (1.05, 1.08 / 1.05, 1.0, "I_WELL_COUNTER"),
    ],
)
def test_scanner_and_well_counter_of_another_calibration(
    scene, sessions, tmp_path, counter, stated, ratio, code
):
    """The dose calibrator is right, the scanner reads k = 1.08 of it, the counter c of it.

    Uptake is ``k A / (k D)``, blood ``w c B / (k D)`` with w = `stated`, right for ``w = k / c``.
    Net influx is uptake over blood (Patlak), so `ratio` is ``k / (w c)``.
    """
    points = []
    for point in sessions.timepoints:
        series = point.series[0]
        facts = replace(series.acquisition, pet_over_dose_calibrator=scene.known(1.08))
        values = (1.08 * series.pixels.data).astype(np.float32)
        read = replace(scene.pet_series("pet", facts, values), key=series.key)
        points.append(replace(point, series=(read,)))
    study = Study("case-1", tuple(points))
    hours = np.array([1.0, 12.0, 24.0, 48.0, 96.0, 150.0])
    counted = counter * blood_at(hours) * scene.dose_bq / 1e5
    rows = "".join(f"{h},{a:.12g}\n" for h, a in zip(hours, counted, strict=True))
    rows = rows.replace("\n", ",injection,plasma\n")
    file = tmp_path / "blood.csv"
    file.write_text(f"hours_since_injection,activity_bq_per_ml,decay_corrected_to,specimen\n{rows}")
    config = KineticsConfig(blood_samples=str(file), pet_over_well_counter=stated)
    result = measured(scene, study, plasma=load_plasma(config, study))
    lesion = number(result, "lesion", "patlak_ki", ALL)
    assert lesion.value == pytest.approx(ratio * KI["lesion"], rel=1e-4)
    assert ("scanner over well counter" in lesion.note) == (stated != 1.0)
    found = result.value.registered["patlak_ki"]
    assert found.values[inner(scene, "lesion")] == pytest.approx(ratio * KI["lesion"], rel=1e-4)
    assert ("scanner over well counter" in found.method) == (stated != 1.0)
    assert [f.code for f in result.findings if "WELL_COUNTER" in f.code] == [code]
