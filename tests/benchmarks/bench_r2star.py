"""Speed and working memory of the R2* fit, as ratios measured in one run.

    python -m tests.benchmarks.bench_r2star

Every row is made in this process on the same noisy voxels (8 echoes 1.2-14 ms, R2* 10-400 1/s,
SNR 50, float32, no mask), everything warm unless the row says otherwise.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import curve_fit

from eprimg.kernels.r2star import fit_r2star

ECHO_TIMES_S = np.linspace(1.2e-3, 14e-3, 8)
SHAPE = (60, 256, 256)
SCIPY_VOXELS = 4000
TEDANA_VOXELS = 2000
_UNEVEN = "nlls, uneven echoes, 1 thread"

_MEMORY = """
import sys
from pathlib import Path
import numpy as np
from eprimg.kernels.r2star import fit_r2star
shape, threads, backend = (60, 256, 256, 8), int(sys.argv[1]), sys.argv[2]
times = np.linspace(1.2e-3, 14e-3, 8)
decay = np.exp(-50.0 * times).astype(np.float32)
# Warm both the code and the threads first: what stays loaded is not working memory.
fit_r2star(np.tile(decay, (400_000, 1)), times, threads=threads, backend=backend)
signal = np.empty(shape, np.float32)
signal[...] = decay
def memory(key):
    return next(int(line.split()[1]) * 1024 for line in
                Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
# Not ru_maxrss: it starts at what the parent had when it made this child.  5 resets VmHWM.
Path("/proc/self/clear_refs").write_text("5")
rss = memory("VmRSS")
fit = fit_r2star(signal, times, threads=threads, backend=backend)
peak = memory("VmHWM")
print((peak - rss - sum(field.nbytes for field in fit)) / signal.nbytes)
"""

_FIRST = """
import time
start = time.perf_counter()
import numpy as np
numpy_done = time.perf_counter()
from eprimg.kernels.r2star import fit_r2star
imported = time.perf_counter()
times = np.linspace(1.2e-3, 14e-3, 8)
fit_r2star(np.exp(-50.0 * times).astype(np.float32), times)
print(imported - numpy_done, time.perf_counter() - imported)
"""


def noisy(n: int, seed: int = 0) -> np.ndarray:
    """Rician voxels in float32, written in runs so that the bench itself stays small."""
    rng = np.random.default_rng(seed)
    signal = np.empty((n, ECHO_TIMES_S.size), np.float32)
    for start in range(0, n, 200_000):
        part = signal[start : start + 200_000]
        rate = np.exp(rng.uniform(np.log(10.0), np.log(400.0), (len(part), 1)))
        clean = rng.uniform(800.0, 1200.0, (len(part), 1)) * np.exp(-rate * ECHO_TIMES_S)
        part[:] = np.hypot(
            clean + rng.normal(0.0, 20.0, clean.shape), rng.normal(0.0, 20.0, clean.shape)
        )
    return signal


def best(call: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs, in seconds, after one that warms up."""
    call()
    found = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        found = min(found, time.perf_counter() - start)
    return float(found)


def scipy_loop(signal: np.ndarray) -> None:
    """Fit by `curve_fit` from a log-linear start that is made for all voxels at once."""
    slopes, intercepts = np.polyfit(ECHO_TIMES_S, np.log(signal.T), 1)

    def decay(t: np.ndarray, s0: float, rate: float) -> np.ndarray:
        return s0 * np.exp(-rate * t)

    for samples, slope, intercept in zip(signal, slopes, intercepts, strict=True):
        curve_fit(decay, ECHO_TIMES_S, samples, p0=(np.exp(intercept), -slope))


def tedana_seconds(signal: np.ndarray) -> float | None:
    """Seconds of tedana's `fit_decay` with `curvefit`, or None where it is not installed."""
    try:
        from tedana.decay import fit_decay
    except ImportError:
        return None
    import logging

    logging.disable(logging.WARNING)
    echoes = np.full(len(signal), ECHO_TIMES_S.size)
    data = signal.astype(np.float64)
    times_ms = list(ECHO_TIMES_S * 1e3)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            return best(lambda: fit_decay(data, times_ms, echoes, "curvefit", report=False), 1)
    finally:
        logging.disable(logging.NOTSET)


def child(code: str, *arguments: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()]


def main() -> dict[str, dict[str, object]]:
    """Print the table; return the rows by name."""
    warnings.simplefilter("ignore")
    signal = noisy(int(np.prod(SHAPE))).reshape(*SHAPE, ECHO_TIMES_S.size)
    n = signal[..., 0].size
    rows: dict[str, dict[str, object]] = {}

    copy_s = best(signal.copy, 9)
    rows["one copy of 256x256x60x8 float32"] = {"seconds": copy_s, "text": f"{copy_s * 1e3:.1f} ms"}
    speed: dict[object, float] = {}
    for threads in (1, 2):
        seconds = best(lambda t=threads: fit_r2star(signal, ECHO_TIMES_S, threads=t), 5)
        speed[threads] = n / seconds
        rows[f"nlls, whole array, {threads} thread(s)"] = {
            "seconds": seconds,
            "voxels_per_s": n / seconds,
            "copies": seconds / copy_s,
            "text": f"{seconds:.3f} s = {seconds / copy_s:.1f} copies; {n / seconds / 1e6:.1f} M "
            "voxel/s" + ("; goal <= 8 copies" if threads == 2 else ""),
        }
    part = signal[:8]
    for name, times, options in (
        (_UNEVEN, ECHO_TIMES_S**1.1, {}),
        ("loglin, 1 thread", ECHO_TIMES_S, {"method": "loglin"}),
        ("nlls, numpy path, 1 thread", ECHO_TIMES_S, {"backend": "numpy"}),
    ):
        chosen = part[:2] if "backend" in options else part
        seconds = best(lambda c=chosen, t=times, o=options: fit_r2star(c, t, threads=1, **o), 2)
        speed[name] = rate = chosen[..., 0].size / seconds
        rows[name] = {"voxels_per_s": rate, "text": f"{rate / 1e6:.2f} M voxel/s"}
    # sigma is estimated in every call, as in `eprimg run`
    plain = best(lambda: fit_r2star(signal, ECHO_TIMES_S, threads=1), 3)
    for noise, goal in (("truncate", 2), ("rician", 10)):
        seconds = best(lambda m=noise: fit_r2star(signal, ECHO_TIMES_S, threads=1, noise=m), 2)
        rows[f"nlls, {noise}, sigma estimated, whole array, 1 thread"] = {
            "ratio": seconds / plain,
            "text": f"{seconds / plain:.2f} times plain nlls; goal <= {goal}",
        }

    flat = signal.reshape(-1, ECHO_TIMES_S.size)
    rate = SCIPY_VOXELS / best(lambda: scipy_loop(flat[:SCIPY_VOXELS]), 2)
    rows["scipy curve_fit, log-linear start"] = {
        "voxels_per_s": rate,
        "ratio": speed[1] / rate,
        "text": f"{rate / 1e3:.1f} k voxel/s; nlls on 1 thread is {speed[1] / rate:.0f}x; goal "
        ">= 1500x",
    }
    seconds = tedana_seconds(flat[:TEDANA_VOXELS])
    if seconds is None:
        rows["tedana fit_decay curvefit"] = {"text": "not installed"}
    else:
        rate = TEDANA_VOXELS / seconds
        rows["tedana fit_decay curvefit"] = {
            "voxels_per_s": rate,
            "ratio": speed[1] / rate,
            "text": f"{rate / 1e3:.2f} k voxel/s; nlls on 1 thread is {speed[1] / rate:.0f}x; "
            "goal >= 10000x",
        }

    for backend, threads in (("numba", "1"), ("numba", "2"), ("numpy", "2")):
        if not Path("/proc/self/clear_refs").exists():
            rows["memory beyond input and outputs"] = {"text": "not measured: needs Linux /proc"}
            break
        share = child(_MEMORY, threads, backend)[0]
        rows[f"memory beyond input and outputs, {backend}, {threads} thread(s)"] = {
            "share_of_input": share,
            "text": f"{share:.4f} of the input; goal <= 0.1",
        }
    imported, first = child(_FIRST)
    rows["fresh process: import of the module (numpy loaded)"] = {
        "seconds": imported,
        "text": f"{imported:.3f} s",
    }
    rows["fresh process: first call, compiled code cached"] = {
        "seconds": first,
        "text": f"{first:.2f} s; goal < 1.5 s with the import",
    }

    print("| R2* fit | result |")
    print("|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['text']} |")
    return rows


if __name__ == "__main__":
    main()
