"""Quantities and units: what a number means, with DICOM code and UCUM unit.

Codes that the DICOM standard does not have are local ones of the scheme ``99EPRIMG``; they are
listed in the documentation (reference, quantities).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eprimg.errors import UnitsError

__all__ = ["EXTERNAL_MAPS", "QUANTITIES", "UNITS", "Code", "Quantity", "Unit", "quantity"]


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, scheme and meaning.

    Parameters
    ----------
    value, scheme, meaning : str
        As in a DICOM code sequence item.
    """

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure.

    Parameters
    ----------
    key : str
        Suffix used in column and field names, e.g. ``per_s``.
    ucum : str
        UCUM expression, e.g. ``/s``.
    text : str
        What a reader sees, e.g. ``1/s``.
    """

    key: str
    ucum: str
    text: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of number, with its unit and codes.

    Parameters
    ----------
    key : str
        Stable key, e.g. ``r2star``.
    name : str
        What a reader sees, e.g. ``R2*``.
    unit : Unit
        The unit of every number of this quantity.
    code : Code
        DICOM code, or a local one of scheme ``99EPRIMG``.
    """

    key: str
    name: str
    unit: Unit
    code: Code

    @property
    def column(self) -> str:
        """Name of a table column: the key followed by the unit, e.g. ``r2star_per_s``."""
        return f"{self.key}_{self.unit.key}" if self.unit.key else self.key

    def require(self, key: str) -> None:
        """Refuse a quantity that is not the expected one.

        Parameters
        ----------
        key : str
            Key of the quantity that the calculation needs.

        Raises
        ------
        UnitsError
            With code ``E_QUANTITY``.
        """
        if self.key != key:
            raise UnitsError(
                f"this calculation needs {QUANTITIES[key].name}, not {self.name}",
                code="E_QUANTITY",
                value=self.key,
                action="pass the right map",
            )


_U = {
    "per_s": Unit("per_s", "/s", "1/s"),
    "g_per_ml": Unit("", "g/ml{SUVbw}", "g/mL"),
    "g_per_ml_lean": Unit("", "g/ml{SUVlbm(Janma)}", "g/mL"),
    "g_per_ml_james128": Unit("", "g/ml{SUVlbm(James128)}", "g/mL"),
    "g_per_ml_james120": Unit("", "g/ml{SUVlbm}", "g/mL"),
    "g_per_ml_ideal": Unit("", "g/ml{SUVibw}", "g/mL"),
    "g": Unit("g", "g", "g"),
    "cm2_per_ml": Unit("", "cm2/ml{SUVbsa}", "cm²/mL"),
    "bq_per_ml": Unit("bq_per_ml", "Bq/ml", "Bq/mL"),
    "percent_per_kg": Unit("", "%/kg", "%ID/kg"),
    "percent_per_ml": Unit("", "%/ml", "%ID/mL"),
    "mmol_per_l": Unit("mmol_per_l", "mmol/l", "mmol/L"),
    "mg": Unit("mg", "mg", "mg"),
    "ug_per_g": Unit("ug_per_g", "ug/g", "µg/g"),
    "ml": Unit("ml", "ml", "mL"),
    "ratio": Unit("", "1", "ratio"),
    "arbitrary": Unit("", "[arb'U]", "arbitrary"),
    "unknown": Unit("", "[arb'U]", "not known"),
    "hu": Unit("hu", "[hnsf'U]", "HU"),
    "percent": Unit("percent", "%", "%"),
    "hz": Unit("hz", "Hz", "Hz"),
    "per_min": Unit("per_min", "/min", "1/min"),
    "ml_per_min_per_100ml": Unit("ml_per_min_per_100ml", "ml/min/(100.ml)", "mL/min/100 mL"),
    "mm2_per_s": Unit("mm2_per_s", "mm2/s", "mm²/s"),
    "per_s_one_third": Unit("", "{s^(-1/3)}", "s^(-1/3)"),
    "per_s_per_h": Unit("per_s_per_h", "/s/h", "1/s per h"),
    "per_h": Unit("per_h", "/h", "1/h"),
    "percent_h_per_kg": Unit("percent_h_per_kg", "%.h/kg", "%ID·h/kg"),
    "percent_per_kg_per_h": Unit("percent_per_kg_per_h", "%/kg/h", "%ID/kg per h"),
    "bit": Unit("bit", "bit", "bit"),
}
UNITS: Final[dict[str, Unit]] = _U


def _local(value: str, meaning: str) -> Code:
    return Code(value, "99EPRIMG", meaning)


QUANTITIES: Final[dict[str, Quantity]] = {
    q.key: q
    for q in (
        Quantity("signal", "MR signal", _U["arbitrary"], _local("SIGNAL", "MR magnitude signal")),
        Quantity("hounsfield", "CT number", _U["hu"], _local("HU", "CT number")),
        Quantity("r2star", "R2*", _U["per_s"], Code("126395", "DCM", "R2*")),
        Quantity(
            "r2star_voxels",
            "part of the R2* voxels",
            _U["ratio"],
            _local("R2STARVOXELS", "Part of the voxels of a region with a doubtful R2* or none"),
        ),
        Quantity("s0", "S0", _U["arbitrary"], _local("S0", "MR signal at echo time zero")),
        Quantity("pdff", "fat fraction", _U["percent"], Code("129100", "DCM", "Fat fraction")),
        Quantity(
            "field_map", "field map", _U["hz"], _local("FIELDMAP", "Offset of the water resonance")
        ),
        Quantity("dr2star", "ΔR2*", _U["per_s"], _local("DR2STAR", "Change of R2*")),
        Quantity(
            "rr2star90",
            "rR2*,90",
            _U["ratio"],
            _local("RR2STAR90", "Mean R2* above the 90th percentile over mean spleen R2*"),
        ),
        Quantity(
            "rr2star",
            "rR2*,N",
            _U["ratio"],
            _local("RR2STAR", "Mean R2* above a percentile over mean R2* of a reference region"),
        ),
        Quantity(
            "iron_concentration",
            "iron concentration",
            _U["mmol_per_l"],
            _local("IRONCONC", "Iron concentration by a named relaxivity model"),
        ),
        Quantity(
            "iron_content",
            "iron content",
            _U["ug_per_g"],
            _local("IRONCONTENT", "Iron per wet mass by a named relaxivity model"),
        ),
        Quantity(
            "iron_mass",
            "iron mass",
            _U["mg"],
            _local("IRONMASS", "Iron that a relaxivity model puts into a region"),
        ),
        Quantity(
            "blood_fraction",
            "fractional blood volume",
            _U["ratio"],
            _local("BLOODFRACTION", "Change of R2* over that of blood"),
        ),
        Quantity(
            "activity",
            "activity concentration",
            _U["bq_per_ml"],
            _local("ACTIVITY", "Activity concentration"),
        ),
        Quantity(
            "pet_value",
            "PET value (unit not known)",
            _U["unknown"],
            _local("PETVALUE", "PET value of a file that names no unit"),
        ),
        Quantity("suvbw", "SUVbw", _U["g_per_ml"], Code("126401", "DCM", "SUVbw")),
        Quantity(
            "sul_janmahasatian",
            "SUL (Janmahasatian)",
            _U["g_per_ml_lean"],
            Code("126405", "DCM", "SUVlbm(Janma)"),
        ),
        Quantity(
            "sul_james128",
            "SUL (James 128)",
            _U["g_per_ml_james128"],
            Code("126406", "DCM", "SUVlbm(James128)"),
        ),
        Quantity(
            "sul_james120",
            "SUL (James 120, Morgan)",
            _U["g_per_ml_james120"],
            Code("126402", "DCM", "SUVlbm"),
        ),
        Quantity("suvibw", "SUVibw", _U["g_per_ml_ideal"], Code("126404", "DCM", "SUVibw")),
        Quantity("suvbsa", "SUVbsa", _U["cm2_per_ml"], Code("126403", "DCM", "SUVbsa")),
        Quantity(
            "pid_per_kg",
            "%ID/kg",
            _U["percent_per_kg"],
            _local("PIDPERKG", "Percent of injected dose per kilogram"),
        ),
        Quantity(
            "pid_per_ml",
            "%ID/mL",
            _U["percent_per_ml"],
            _local("PIDPERML", "Percent of injected dose per millilitre"),
        ),
        Quantity(
            "dr2star_extravascular",
            "ΔR2* outside the vessels",
            _U["per_s"],
            _local("DR2STAREV", "Change of R2* less the part that follows blood"),
        ),
        Quantity(
            "dr2star_permeability",
            "early permeability (ΔR2*)",
            _U["per_s_per_h"],
            _local("DR2STARPERM", "Rise of the change of R2* outside the vessels over time"),
        ),
        Quantity(
            "dr2star_retention",
            "late retention (ΔR2*)",
            _U["ratio"],
            _local("DR2STARRET", "Kept part of the early change of R2*, less that of blood"),
        ),
        Quantity(
            "uptake_retention",
            "retention",
            _U["ratio"],
            _local("RETENTION", "Uptake at a later scan over uptake at the first scan"),
        ),
        Quantity(
            "uptake_auc",
            "area under the uptake curve",
            _U["percent_h_per_kg"],
            _local("UPTAKEAUC", "Area under the curve of percent injected dose per kilogram"),
        ),
        Quantity(
            "permeability_index",
            "permeability index Ps",
            _U["percent_per_kg_per_h"],
            _local("PERMINDEX", "Slope of the uptake curve minus slope of the blood curve"),
        ),
        Quantity(
            "patlak_ki",
            "net influx Ki (Patlak)",
            _U["per_h"],
            _local("PATLAKKI", "Slope of the Patlak plot"),
        ),
        Quantity(
            "patlak_intercept",
            "Patlak intercept",
            _U["ratio"],
            _local("PATLAKV", "Intercept of the Patlak plot"),
        ),
        Quantity("volume", "volume", _U["ml"], Code("118565006", "SCT", "Volume")),
        Quantity(
            "coverage",
            "coverage",
            _U["ratio"],
            _local("COVERAGE", "Part of a region inside the field of view of a series"),
        ),
        Quantity(
            "heterogeneity",
            "heterogeneity",
            _U["ratio"],
            _local("HETEROGENEITY", "Statistic without unit of the voxels of a lesion"),
        ),
        Quantity(
            "histogram_entropy",
            "histogram entropy",
            _U["bit"],
            _local("HISTENTROPY", "Entropy of the histogram of the voxels of a lesion"),
        ),
        Quantity(
            "lesion_blood_ratio",
            "lesion/blood",
            _U["ratio"],
            _local("LESIONBLOOD", "Lesion to blood pool ratio"),
        ),
        Quantity(
            "lesion_muscle_ratio",
            "lesion/muscle",
            _U["ratio"],
            _local("LESIONMUSCLE", "Lesion to muscle ratio"),
        ),
        Quantity(
            "lesion_liver_ratio",
            "lesion/liver",
            _U["ratio"],
            _local("LESIONLIVER", "Lesion to liver ratio"),
        ),
        Quantity(
            "metabolic_volume",
            "metabolic volume (MTV)",
            _U["ml"],
            Code("126032", "DCM", "Metabolic Volume"),
        ),
        Quantity(
            "total_lesion_glycolysis",
            "total lesion uptake (TLG)",
            _U["g"],
            Code("126033", "DCM", "Total Lesion Glycolysis"),
        ),
        Quantity("ktrans", "Ktrans", _U["per_min"], Code("126312", "DCM", "Ktrans")),
        Quantity("kep", "kep", _U["per_min"], Code("126313", "DCM", "kep")),
        Quantity("ve", "ve", _U["ratio"], Code("126314", "DCM", "ve")),
        Quantity("vp", "vp", _U["ratio"], Code("126331", "DCM", "vp")),
        Quantity(
            "perfusion",
            "perfusion (blood flow)",
            _U["ml_per_min_per_100ml"],
            Code("126390", "DCM", "Absolute Regional Blood Flow"),
        ),
        Quantity(
            "fdg_suvbw",
            "SUVbw of FDG",
            _U["g_per_ml"],
            _local("FDGSUVBW", "SUVbw of 18F-fluorodeoxyglucose"),
        ),
        Quantity(
            "adc",
            "ADC",
            _U["mm2_per_s"],
            Code("113041", "DCM", "Apparent Diffusion Coefficient"),
        ),
        Quantity("r2", "R2", _U["per_s"], Code("126394", "DCM", "R2")),
        Quantity(
            "vessel_size_q",
            "vessel-density index Q",
            _U["per_s_one_third"],
            _local("VESSELSIZEQ", "Change of R2 over change of R2* to the power 2/3"),
        ),
    )
}

EXTERNAL_MAPS: Final = (
    "ktrans",
    "kep",
    "ve",
    "vp",
    "perfusion",
    "fdg_suvbw",
    "adc",
    "r2",
    "field_map",
)
"""Quantities that a map made elsewhere may hold; covariates, which place nothing in a tier."""


def quantity(key: str) -> Quantity:
    """Look a quantity up by its key.

    Parameters
    ----------
    key : str
        E.g. ``"r2star"``.

    Returns
    -------
    Quantity
        The record.

    Raises
    ------
    UnitsError
        With code ``E_QUANTITY`` when the key is unknown.
    """
    try:
        return QUANTITIES[key]
    except KeyError:
        raise UnitsError(
            f"no quantity is called {key!r}",
            code="E_QUANTITY",
            value=key,
            action=f"use one of: {', '.join(sorted(QUANTITIES))}",
        ) from None
