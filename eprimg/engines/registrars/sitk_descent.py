"""Regular-step gradient descent that ends at the best place it has seen.

ITK's optimiser takes steps of a fixed length as long as the gradient keeps its direction, whether
the metric gets better or not.  Mutual information over a small field of view has a gradient that
does not know of sample points that leave the moving volume: on a thigh cut out around a sarcoma the
search passed the best place after 15 steps and then walked 60 mm further, uphill all the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eprimg.engines.registrars.contract import ShouldStop

__all__ = ["Descent", "descend"]

_PATIENCE = 10
"""Steps without a better value after which the search goes back."""
_SHORTER = 0.25
"""Length of the step then, as a share of what it was."""


@dataclass(frozen=True, slots=True)
class Descent:
    """How a search ended.

    Parameters
    ----------
    value : float
        Best value of the metric; lower is more alike.
    iterations : int
        Steps taken, over all returns.
    returns : int
        How often the search went back to the best place and on with shorter steps.
    halted : bool
        The caller asked to stop.
    """

    value: float
    iterations: int
    returns: int
    halted: bool


def descend(
    method: Any,
    volumes: tuple[Any, Any],
    transform: Any,
    *,
    step_mm: float,
    smallest_step_mm: float,
    iterations: int,
    relaxation: float,
    should_stop: ShouldStop | None = None,
) -> Descent:
    """Minimise the metric of a registration method; the transform ends at the best place seen.

    Parameters
    ----------
    method : SimpleITK.ImageRegistrationMethod
        With its metric, sampling and interpolator.
    volumes : tuple of SimpleITK.Image
        Fixed and moving.
    transform : SimpleITK.Transform
        Where the search begins; changed in place.
    step_mm, smallest_step_mm : float
        First step, and the step that ends the search.
    iterations : int
        Most steps, over all returns.
    relaxation : float
        Factor of the step when the gradient turns round.
    should_stop : callable, optional
        Asked at every step; True ends the search.

    Returns
    -------
    Descent
        The best value and how it was found.
    """
    import SimpleITK as sitk

    left, returns = iterations, 0
    watch = _Watch(method, should_stop, tuple(transform.GetParameters()))
    while True:
        method.SetOptimizerAsRegularStepGradientDescent(
            step_mm, smallest_step_mm, left, relaxation, 1e-8
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, True)
        method.RemoveAllCommands()
        watch.begin(transform)
        method.AddCommand(sitk.sitkIterationEvent, watch)
        method.Execute(*volumes)
        method.RemoveAllCommands()
        left -= watch.steps
        transform.SetParameters(watch.best_position)
        if watch.halted or not watch.lost or left <= 0:
            return Descent(watch.best, iterations - left, returns, watch.halted)
        # Close to the end the steps are short already, and nothing was lost.
        step_mm = _SHORTER * watch.step_mm
        if step_mm <= smallest_step_mm:
            return Descent(watch.best, iterations - left, returns, halted=False)
        returns += 1


@dataclass(slots=True)
class _Watch:
    """Looks at every step of the optimiser."""

    method: Any
    should_stop: Callable[[], bool] | None
    best_position: tuple[float, ...]
    best: float = float("inf")
    steps: int = 0
    step_mm: float = 0.0
    halted: bool = False
    lost: bool = False
    _here: tuple[float, ...] = ()
    _since: int = field(default=0)

    def begin(self, transform: Any) -> None:
        self._here = tuple(transform.GetParameters())
        self.steps = self._since = 0
        self.lost = False

    def __call__(self) -> None:
        """See one step: the value belongs to the place before it, the position to the one after."""
        method = self.method
        value, self.step_mm = method.GetMetricValue(), method.GetOptimizerLearningRate()
        self.steps += 1
        if value < self.best:
            self.best, self.best_position, self._since = value, self._here, 0
        else:
            self._since += 1
        self._here = method.GetOptimizerPosition()
        if self.should_stop is not None and self.should_stop():
            self.halted = True
        elif self._since >= _PATIENCE:
            self.lost = True
        if self.halted or self.lost:
            method.StopRegistration()
