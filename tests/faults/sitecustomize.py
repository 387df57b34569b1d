"""Loaded by every Python process that has this folder on its PYTHONPATH: tiles that take their time, fail, or kill.

GEOSEG_FAULTS is a JSON object that maps names of tasks to what befalls each when its first window is done and its
temporary files are there: ``kill`` ends the process at once, ``raise`` raises what nobody expects, ``slow:SECONDS``
waits. ``kill late`` ends it when the task is done and its manifest says so, before anybody hears of it.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import sys
import time

FAULTS = json.loads(os.environ["GEOSEG_FAULTS"])


class Finder(importlib.abc.MetaPathFinder):
    """Changes ``geoseg.batch.perform`` when it is loaded."""

    def find_spec(self, name, path, target=None):
        if name != "geoseg.batch.perform":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_change(module):
            load(module)
            run, remove = module._run, module._remove_log
            module._run = lambda task, warm, tell: run(task, warm, with_faults(task.name, tell))
            module._remove_log = lambda task: os._exit(137) if FAULTS.get(task.name) == "kill late" else remove(task)

        spec.loader.exec_module = load_and_change
        return spec


def with_faults(name, tell):
    """Return what is told of progress, with what befalls a task."""
    fault = FAULTS.get(name, "")

    def faulty(done, total, pixels):
        nonlocal fault
        befalls, fault = fault, ""
        if befalls == "kill":
            os._exit(137)
        elif befalls == "raise":
            raise RuntimeError("a fault that a test asks for")
        elif befalls.startswith("slow:"):
            time.sleep(float(befalls.removeprefix("slow:")))
        tell(done, total, pixels)

    return faulty


sys.meta_path.insert(0, Finder())
