"""Runs itk-elastix in its own process: ``python -I _run_elastix.py`` in the private folder.

Imports nothing of eprimg: the python that runs it may have another numpy.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Read ``in.json`` and two volumes, write ``out.json`` and perhaps ``field.npy``."""
    itk: Any = import_module("itk")
    np: Any = import_module("numpy")
    asked = json.loads(Path("in.json").read_text(encoding="utf-8"))
    fixed, moving = (itk.imread(name, itk.F) for name in ("fixed.nii", "moving.nii"))
    parameters = itk.ParameterObject.New()
    for kind in ("rigid", "bspline") if asked["deformable"] else ("rigid",):
        table = parameters.GetDefaultParameterMap(kind, 3)
        for key, values in asked["settings"][kind].items():
            table[key] = tuple(values)
        table["RandomSeed"] = (str(asked["seed"]),)
        parameters.AddParameterMap(table)
    # the log is for messages only.  The number of threads comes from the environment: with the
    # setter, several metrics crash
    _, found = itk.elastix_registration_method(
        fixed, moving, parameter_object=parameters, log_to_console=True
    )
    rigid = found.GetParameterMap(0)
    euler = itk.Euler3DTransform[itk.D].New()
    euler.SetComputeZYX(rigid.get("ComputeZYX", ("false",))[0] == "true")
    euler.SetCenter([float(v) for v in rigid["CenterOfRotationPoint"]])
    numbers = [float(v) for v in rigid["TransformParameters"]]
    euler.SetRotation(*numbers[:3])
    euler.SetTranslation(numbers[3:])
    linear = np.array(itk.array_from_matrix(euler.GetMatrix()))
    offset = np.array(list(euler.GetOffset()))
    out: dict[str, Any] = {"matrix": np.vstack([np.c_[linear, offset], [0, 0, 0, 1]]).tolist()}
    if asked["deformable"]:
        lattice = asked["lattice"]
        for number in range(found.GetNumberOfParameterMaps()):
            for key, values in lattice.items():
                found.SetParameter(number, key, [str(v) for v in values])
        field = itk.transformix_deformation_field(moving, found)
        np.save("field.npy", np.asarray(itk.array_from_image(field), dtype=np.float32))
    Path("out.json").write_text(json.dumps(out), encoding="utf-8")


if __name__ == "__main__":
    main()
