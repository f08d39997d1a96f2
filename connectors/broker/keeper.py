"""The process between us and the broker: it ends the broker when we end, however we end.

Run as a script with the standard library alone. Three things can go wrong, and each is met:
we are killed outright (the pipe on its standard input closes, or its parent changes: the broker is stopped cleanly,
or by force after a bound), the keeper itself is killed outright (Linux then kills the broker with it), and the broker
ends by itself (the keeper ends too, with the broker's exit code).

It also holds the lock on the data folder, as an inherited file: a folder is free only when its broker is gone.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 1.0


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _await_order(stop: threading.Event, grace: list[float]) -> None:
    """Block until our parent writes how many seconds the broker has, or closes the pipe by dying."""
    text = sys.stdin.readline().strip()
    if text:
        grace[0] = float(text)
    stop.set()


def _await_end(broker: "subprocess.Popen[bytes]", stop: threading.Event) -> None:
    broker.wait()
    stop.set()


def _end(broker: "subprocess.Popen[bytes]", seconds: float) -> int:
    broker.terminate()
    try:
        return broker.wait(seconds)
    except subprocess.TimeoutExpired:
        broker.kill()
        return broker.wait()


def main(argv: list[str]) -> int:
    """`keeper.py GRACE_SECONDS FOLDER_TO_REMOVE|- COMMAND...`: prints the broker's pid, returns its exit code."""
    grace, folder, command = [float(argv[0])], argv[1], argv[2:]
    parent = os.getppid()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    # From the main thread and before any other: Linux ties the death signal to the thread that forked.
    broker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=_die_with_parent)  # noqa: S603
    sys.stdout.write(f"{broker.pid}\n")
    sys.stdout.flush()
    threading.Thread(target=_await_order, args=(stop, grace), daemon=True).start()
    threading.Thread(target=_await_end, args=(broker, stop), daemon=True).start()
    while not stop.wait(_POLL_SECONDS):
        if os.getppid() != parent:
            break
    code = broker.poll()
    if code is None:
        code = _end(broker, grace[0])
        if folder != "-":
            shutil.rmtree(folder, ignore_errors=True)
    # The thread that reads the pipe cannot be woken: leave without waiting for it.
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main(sys.argv[1:])
