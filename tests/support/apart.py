"""Runs a piece of work in a process of its own, for peers whose filters may end the program, never return, or write
past a buffer; used by the Python sides of the plugin and h5wasm tests."""

import json
import os
import signal

DONE = 77  # a filter that ends the program may say 0


def message(error):
    return f"{type(error).__name__}: {error}"


def apart(work, seconds=10):
    """What `work` returns, which json takes; {"error": ...} where it raises, ends the program or takes too long."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)  # what a filter prints is no answer
        signal.alarm(seconds)  # nor is one that never comes
        try:
            result = work()
        except Exception as error:
            result = {"error": message(error)}
        with os.fdopen(send, "w") as pipe:
            json.dump(result, pipe)
        os._exit(DONE)
    os.close(send)
    with os.fdopen(receive) as pipe:
        text = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.waitstatus_to_exitcode(status) != DONE:
        return {"error": f"the filter ended the program: status {status}"}
    return json.loads(text)
