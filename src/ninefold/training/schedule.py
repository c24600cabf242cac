"""The learning rate as a function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ninefold.training.settings import Settings

WARM_UP: Final = 0.05


def rate(settings: Settings, step: int, steps: int) -> float:
    """Give the learning rate of one step.

    With t = (step + 1/2) / steps, the share of the run that lies behind the middle of the step:

        "constant"   lr
        "step"       lr, from t = 1/2 on lr / 10, from t = 3/4 on lr / 100
        "cosine"     lr * t / 0.05 up to t = 0.05, then lr * (1 + cos(pi * (t - 0.05) / 0.95)) / 2

    Args:
        settings: of the run.
        step: counted from 0 over the whole run.
        steps: of the whole run.

    Source: "step" as in K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2; "cosine"
    as in I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5,
    without restarts and with a linear start (P. Goyal et al., arXiv 1706.02677, section 2.2).
    """
    t = (step + 0.5) / steps
    if settings.schedule == "constant":
        return settings.lr
    if settings.schedule == "step":
        return settings.lr * (1 if t < 1 / 2 else 0.1 if t < 3 / 4 else 0.01)
    if t < WARM_UP:
        return settings.lr * t / WARM_UP
    return settings.lr * (1 + cos(pi * (t - WARM_UP) / (1 - WARM_UP))) / 2
