"""Open studies, NIfTI files, saved cases and output folders as layers.

Every reader returns None at once for what is not its own.  Layers of a study carry its folder, so
that the reading workflow, when its windows are open, takes the study over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from eprimg.io.output_folder import output_path
from eprimg.io.sidecar import read_side_car
from eprimg.model.case import Case, Severity
from eprimg.model.study import Study, Timepoint
from napari_eprimg.output_layers import labels_layer, map_layer, output_layers
from napari_eprimg.reading.folder_kinds import PathKind, kind_of
from napari_eprimg.view.layer_specs import LayerTuple, layer_tuples

__all__ = [
    "LayerTuple",
    "get_case_reader",
    "get_nifti_reader",
    "get_reader",
    "get_study_reader",
    "read_case",
    "read_layers",
    "read_nifti",
    "read_study_layers",
    "with_study_folder",
]

PathsLike = str | Path | Sequence[str]
LayerReader = Callable[[PathsLike], list[LayerTuple]]

# ---------------------------------------------------------------------- who takes what


def get_study_reader(path: PathsLike) -> LayerReader | None:
    """Offer a reader for a study folder, a DICOM series folder or one DICOM file.

    Parameters
    ----------
    path : str or sequence of str
        One path.

    Returns
    -------
    callable or None
        `read_study_layers`, or None when it is something else.
    """
    return read_study_layers if _kind(path) == PathKind.STUDY else None


def get_nifti_reader(path: PathsLike) -> LayerReader | None:
    """Offer a reader for NIfTI files with side-cars.

    Parameters
    ----------
    path : str or sequence of str
        One file, or the files of an echo train.

    Returns
    -------
    callable or None
        `read_nifti`, or None when a file has no side-car.
    """
    kinds = {kind_of(p) for p in _paths(path)}
    return read_nifti if kinds == {PathKind.NIFTI} else None


def get_reader(path: PathsLike) -> LayerReader | None:
    """Offer a reader for an output folder of ``eprimg run``.

    Parameters
    ----------
    path : str or sequence of str
        The folder, or its ``manifest.json``.

    Returns
    -------
    callable or None
        `read_layers`, or None when it is something else.
    """
    return read_layers if _kind(path, "manifest") == PathKind.OUTPUT else None


def get_case_reader(path: PathsLike) -> LayerReader | None:
    """Offer a reader for a saved case.

    Parameters
    ----------
    path : str or sequence of str
        The folder, or its ``case.json``.

    Returns
    -------
    callable or None
        `read_case`, or None when it is something else.
    """
    return read_case if _kind(path, "saved_case") == PathKind.CASE else None


def _paths(path: PathsLike) -> list[Path]:
    return [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]


def _folder(path: PathsLike, file: str = "") -> Path | None:
    """Return the folder that a path means, which may be a file in it; None for several."""
    paths = _paths(path)
    if len(paths) != 1:
        return None
    named = bool(file) and paths[0].name == output_path(Path(), file).name
    return paths[0].parent if named else paths[0]


def _kind(path: PathsLike, file: str = "") -> PathKind | None:
    folder = _folder(path, file)
    return None if folder is None else kind_of(folder)


# ---------------------------------------------------------------------- studies and saved cases


def read_study_layers(path: PathsLike) -> list[LayerTuple]:
    """Read the series of a study with the proposed roles.

    Parameters
    ----------
    path : str or sequence of str
        Folder or file.

    Returns
    -------
    list of tuple
        Layer data, layer settings and layer type: one image layer for each series.

    Raises
    ------
    EprimgError
        When no series can be used; what is refused beside others is only left out.
    """
    from eprimg.errors import InputError
    from eprimg.io.study import read_study

    (folder,) = _paths(path)
    read = read_study(folder, leave_out_refused=True)
    if not read.value.series:
        refused = [f for f in read.findings if f.severity == Severity.ERROR]
        raise InputError(
            " ".join(f.text for f in refused) or "no series of this study can be used",
            code=refused[0].code if refused else "E_NO_SERIES",
            action="open it in the reading workflow, which lets you enter what is missing",
        )
    return with_study_folder(layer_tuples(Case(read.value)), folder)


def read_case(path: PathsLike) -> list[LayerTuple]:
    """Read the series and the edited regions of a saved case; numbers come with the workflow.

    Parameters
    ----------
    path : str or sequence of str
        The folder, or its ``case.json``.

    Returns
    -------
    list of tuple
        Layer data, layer settings and layer type.

    Raises
    ------
    InputError
        ``E_CASE_READ``, ``E_CASE_MOVED`` or ``E_CASE_SOURCES`` when the case is damaged, or its
        study is not where or what it was.
    """
    from eprimg.io.saved_case import check_sources, load_saved_case
    from eprimg.io.study import read_study
    from eprimg.io.study_plan import plan_study

    folder = _folder(path, "saved_case")
    assert folder is not None
    saved = load_saved_case(folder)
    plan = plan_study(saved.source, facts=saved.study_file)
    read = read_study(saved.source, plan=plan, config=saved.config, leave_out_refused=True)
    check_sources(saved, read.value)
    case = Case(read.value, lesions=saved.regions, drawn_lesions=saved.drawn)
    return with_study_folder(layer_tuples(case), folder)


def with_study_folder(layers: list[LayerTuple], folder: Path) -> list[LayerTuple]:
    """Note in every layer which folder the reading workflow opens for it.

    Parameters
    ----------
    layers : list of tuple
        Layers of one study.
    folder : Path
        Study folder or saved case.

    Returns
    -------
    list of tuple
        The same layers.
    """
    for _, settings, _ in layers:
        settings["metadata"]["eprimg"]["study_folder"] = str(folder)
    return layers


# ---------------------------------------------------------------------- NIfTI


def read_nifti(path: PathsLike) -> list[LayerTuple]:
    """Read NIfTI with side-cars: a map of eprimg, a mask with names, or an echo train.

    Parameters
    ----------
    path : str or sequence of str
        One file, or one per echo.

    Returns
    -------
    list of tuple
        One layer.

    Raises
    ------
    EprimgError
        When the side-car does not say what the file holds, or contradicts it.
    """
    files = _paths(path)
    sidecar = read_side_car(files[0])
    if len(files) == 1 and "Quantity" in sidecar and "Key" in sidecar:
        return [map_layer(files[0])]
    if len(files) == 1 and ("labels" in sidecar or "EchoTime" not in sidecar):
        from eprimg.io.read_regions import read_regions

        regions = read_regions(files[0]).value
        return [labels_layer(regions, files[0], sidecar)]
    from eprimg.io.read_nifti import read_nifti_echoes
    from eprimg.model.study import Role

    read = read_nifti_echoes(tuple(files), key="mr", role=Role.MR_PRE, agent_phase="unknown")
    study = Study("P-unnamed", (Timepoint(files[0].parent.name or "MR", None, (read.value,)),))
    return layer_tuples(Case(study))


# ---------------------------------------------------------------------- output folders


def read_layers(path: PathsLike) -> list[LayerTuple]:
    """Read the registered maps and the regions of an output folder.

    Parameters
    ----------
    path : str or sequence of str
        The folder, or its ``manifest.json``.

    Returns
    -------
    list of tuple
        Layer data, layer settings and layer type: one image layer for each map, then the regions.

    Raises
    ------
    OutputError
        ``E_OUTPUT_DAMAGED`` when a file of the folder is missing or was changed.
    """
    folder = _folder(path, "manifest")
    assert folder is not None
    return output_layers(folder)
