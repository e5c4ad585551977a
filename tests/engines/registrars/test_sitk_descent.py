"""The search ends at the best place it has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk

from eprimg.engines.registrars.sitk_descent import descend

BEST_MM = 10.0


class Place:
    """Stands for a transform with one parameter."""

    def __init__(self, x: float) -> None:
        self.x = x

    def GetParameters(self) -> tuple[float, ...]:  # noqa: N802
        return (self.x,)

    def SetParameters(self, position: tuple[float, ...]) -> None:  # noqa: N802
        (self.x,) = position


class WalksOn:
    """Stands for an optimiser whose gradient never turns: it walks on whatever the metric says."""

    def __init__(self) -> None:
        self.command: Callable[[], None] | None = None
        self.walks: list[float] = []

    def SetOptimizerAsRegularStepGradientDescent(  # noqa: N802
        self, step: float, smallest: float, iterations: int, relaxation: float, tolerance: float
    ) -> None:
        self.step, self.iterations = step, iterations

    def SetOptimizerScalesFromPhysicalShift(self) -> None:  # noqa: N802
        pass

    def SetInitialTransform(self, place: Place, in_place: bool) -> None:  # noqa: N802
        self.place = place

    def RemoveAllCommands(self) -> None:  # noqa: N802
        self.command = None

    def AddCommand(self, event: int, command: Callable[[], None]) -> None:  # noqa: N802
        assert event == sitk.sitkIterationEvent
        self.command = command

    def StopRegistration(self) -> None:  # noqa: N802
        self.stopped = True

    def GetMetricValue(self) -> float:  # noqa: N802
        return self.value

    def GetOptimizerLearningRate(self) -> float:  # noqa: N802
        return self.step

    def GetOptimizerPosition(self) -> tuple[float, ...]:  # noqa: N802
        return (self.place.x,)

    def Execute(self, *volumes: Any) -> None:  # noqa: N802
        self.stopped = False
        self.walks.append(self.step)
        for _ in range(self.iterations):
            self.value = (self.place.x - BEST_MM) ** 2
            self.place.x += self.step
            assert self.command is not None
            self.command()
            if self.stopped:
                return


def go(method: WalksOn, place: Place, **options: Any) -> Any:
    rules: dict[str, Any] = {
        "step_mm": 4.0,
        "smallest_step_mm": 0.01,
        "iterations": 150,
        "relaxation": 0.5,
    }
    return descend(method, (None, None), place, **(rules | options))


def test_a_search_that_walks_past_the_best_place_comes_back() -> None:
    method, place = WalksOn(), Place(0.0)
    found = go(method, place)
    # 4 mm steps see 8 and 12 mm (both 2 mm off); shorter steps from 8 mm on see 10 mm itself.
    assert abs(place.x - BEST_MM) < 0.3
    assert abs(found.value - (place.x - BEST_MM) ** 2) < 1e-12
    assert found.returns >= 2
    assert np.all(np.diff(method.walks) < 0)
    assert found.iterations < 150


def test_the_steps_are_counted_over_all_returns() -> None:
    found = go(WalksOn(), Place(0.0), iterations=20)
    assert found.iterations == 20


def test_a_search_that_is_still_going_down_is_not_turned_back() -> None:
    method, place = WalksOn(), Place(-1000.0)
    found = go(method, place, iterations=50)
    assert (found.returns, found.iterations) == (0, 50)
    # The value of the last place is not known before the next step: the one before it is the best.
    assert place.x == -1000.0 + 49 * 4.0


def test_the_caller_can_stop() -> None:
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) == 3

    found = go(WalksOn(), Place(0.0), should_stop=stop)
    assert (found.halted, found.iterations) == (True, 3)
