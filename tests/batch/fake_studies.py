"""Studies that do in a moment what real ones do once in a thousand: a word in a file says what."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from eprimg.batch.orders import StudyOrder
from eprimg.batch.work import Admit
from eprimg.errors import InputError, OutputError
from eprimg.io.batch_files import BatchPaths
from eprimg.io.batch_inputs import list_studies
from eprimg.io.output_folder import whole_folder
from eprimg.model.study_record import CaseDigest, Light

ACT = "tests.batch.fake_studies:act"
ROOT = Path(__file__).resolve().parents[2]


def make_studies(root: Path, **deeds: str) -> Path:
    """Make a study folder per keyword; its file tells `act` what to do."""
    for name, deed in deeds.items():
        (root / name).mkdir(parents=True)
        (root / name / "do").write_text(deed, encoding="utf-8")
    return root


def make_two_quick_ones(root: Path) -> Path:
    """Make four studies: a batch ends the first two at once and stays in the others."""
    make_studies(root, **{f"s{n}": "sleep 100" for n in range(4)})
    for task in list_studies(root).value[:2]:
        (task.path / "do").write_text("ok 1", encoding="utf-8")
    return root


def let_all_end(root: Path) -> None:
    """Let the studies that a batch stayed in end at once the next time."""
    for folder in root.iterdir():
        if "sleep" in (folder / "do").read_text(encoding="utf-8"):
            (folder / "do").write_text("ok 2", encoding="utf-8")


def act(order: StudyOrder, admit: Admit) -> CaseDigest:
    """Do what the study says: ``word`` or ``word argument``."""
    deed, _, argument = (order.task.path / "do").read_text(encoding="utf-8").partition(" ")
    admit(float(argument) if deed == "need" else 10.0)
    starts = order.out.parent / "starts"
    starts.mkdir(exist_ok=True)
    with (starts / order.task.key).open("a", encoding="utf-8") as file:
        file.write("x")
    first = (starts / order.task.key).read_text(encoding="utf-8") == "x"
    if deed == "sleep":
        time.sleep(float(argument))
    elif deed == "refuse":
        raise InputError(
            f"no echo times in {order.task.path}", code="E_ECHO", where=order.task.path.name
        )
    elif deed == "fault":
        raise KeyError(argument)
    elif deed == "allocate":
        bytearray(int(float(argument) * 2**20))
    elif deed == "swallow":  # a reader that takes any trouble for a damaged file
        try:
            bytearray(4 << 30)
        except Exception as error:
            raise InputError("damaged", code="E_PARSE") from error
    elif deed == "segfault":
        ctypes.string_at(0)
    elif deed == "hang":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
        time.sleep(100)
    elif deed == "disk":
        raise OutputError("the disk is full", code="E_DISK")
    elif deed == "killed" or (deed == "killed-once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "poison":  # takes its worker along
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(100)
    elif deed == "talk":
        sys.stdout.write(f"{argument} in {order.task.path}/x\n")
    with whole_folder(BatchPaths(order.out).study(order.task.key), overwrite=True) as folder:
        (folder / "numbers.csv").write_text(f"study,value\n{argument},1\n", encoding="utf-8")
    if deed == "cut-off":  # together with its worker, between the results and their record
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(100)
    return CaseDigest(pseudonym="P-1", light=Light.OK, n_lesions=1)
