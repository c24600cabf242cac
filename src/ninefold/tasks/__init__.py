"""What networks are trained for, by what comes out of them."""

from ninefold.errors import UnknownName
from ninefold.tasks.base import Metric, Task
from ninefold.tasks.classify import CLASSIFY, ConfusionMatrix
from ninefold.tasks.segment_points import SEGMENT_POINTS, MeanIoU

TASKS = {task.name: task for task in (CLASSIFY, SEGMENT_POINTS)}


def get(name: str) -> Task:
    """Give the task of that name.

    Raises:
        UnknownName: when there is none.
    """
    if name not in TASKS:
        raise UnknownName.among("task", name, TASKS)
    return TASKS[name]


__all__ = ["CLASSIFY", "SEGMENT_POINTS", "TASKS", "ConfusionMatrix", "MeanIoU", "Metric", "Task", "get"]
