"""What ``dask worker --preload`` loads in the tests of lost workers: tiles that take their time, or kill their worker.

GEOSEG_FAULTS is a JSON object: ``log``, the file to which every beginning and end of a tile is appended; ``seconds``
that a tile takes longer; ``deadly``, names of tiles that kill the process that does them.
"""

from __future__ import annotations

import json
import os
import signal
import time

from geoseg.batch import perform

FAULTS = json.loads(os.environ["GEOSEG_FAULTS"])
run, finish = perform._run, perform.manifest.finish


def told(event, task):
    handle = os.open(FAULTS["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{event} {task.name} {os.getpid()}\n".encode())
    os.close(handle)


def run_with_faults(task, *rest):
    told("begin", task)
    if task.name in FAULTS.get("deadly", ()):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(FAULTS["seconds"])
    return run(task, *rest)


def finish_and_tell(task, report):
    finish(task, report)
    told("end", task)  # only now it is done: what is lost before is rightly done again


perform._run = run_with_faults
perform.manifest.finish = finish_and_tell
