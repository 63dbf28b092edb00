"""The one thread that talks to QEMU processes: an asyncio loop that lives as long as the lab.

QEMU processes are started from this thread, because the kernel ties the "kill me when my parent
dies" signal to the thread that started a process, not to its whole process (prctl(2)).
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_START = threading.Lock()
_LOOPS: list[asyncio.AbstractEventLoop] = []


def loop() -> asyncio.AbstractEventLoop:
    """The loop, its thread started at the first call."""
    with _START:
        if not _LOOPS:
            made = asyncio.new_event_loop()
            threading.Thread(target=made.run_forever, name="lab-qemu", daemon=True).start()
            _LOOPS.append(made)
        return _LOOPS[0]


def wait_for(work: Coroutine[Any, Any, T], timeout: float) -> T:
    """Run a coroutine in the loop and wait for its result; TimeoutError after `timeout` seconds."""
    future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout), loop())
    try:
        return future.result()
    except concurrent.futures.CancelledError as error:
        raise TimeoutError("the lab's QEMU thread was stopped") from error
    except BaseException:
        future.cancel()
        raise


def call(function: Callable[[], T]) -> T:
    """Call a quick function in the loop's thread and return what it returns."""

    async def run() -> T:
        return function()

    return asyncio.run_coroutine_threadsafe(run(), loop()).result()
