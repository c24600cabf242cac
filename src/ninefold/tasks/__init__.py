"""What networks are trained for, by what comes out of them."""

from ninefold.errors import UnknownName
from ninefold.tasks.base import Metric, Task
from ninefold.tasks.classify import CLASSIFY, ConfusionMatrix

TASKS = {task.name: task for task in (CLASSIFY,)}


def get(name: str) -> Task:
    """Give the task of that name.

    Raises:
        UnknownName: when there is none.
    """
    if name not in TASKS:
        raise UnknownName.among("task", name, TASKS)
    return TASKS[name]


__all__ = ["CLASSIFY", "TASKS", "ConfusionMatrix", "Metric", "Task", "get"]
