"""Calls a function in a process that ends."""

import base64
import pickle
from typing import Any

from deploy.local.options import ROOT
from deploy.local.supervisor.part import Forks, Part
from deploy.local.supervisor.python import module, python_environment
from deploy.local.supervisor.supervisor import Supervisor

TASK = "WEFT_TASK"
"""The variable with the function and its arguments: the environment, as others may read a command line, and some arguments are secret."""


async def call(supervisor: Supervisor, function: str, *arguments: object, forks: Forks | None = None) -> Any:
    """What `function`, as `package.module:name`, returns. Raises `MeshError` where it raises that or an `OSError`."""
    task = base64.b64encode(pickle.dumps((function, arguments))).decode()
    name = function.partition(":")[0].rpartition(".")[2]
    env = {**python_environment(), TASK: task}
    answer = await supervisor.ask(Part(name, name, module("deploy.local.aside.answering"), env, ROOT, forks=forks))
    return pickle.loads(base64.b64decode(answer))  # noqa: S301 - of a process of ours
