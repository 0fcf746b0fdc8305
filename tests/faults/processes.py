"""Commands in processes of their own that can be killed at any moment, and start within a moment.

A server imports everything once, without starting JAX; each command is a fork of it.

    with server() as play:
        ended = play("run", "tiny.py", "--out", "run", die_at=30)

Run as a script, it is that server: a request is a line of JSON on stdin, its answer one on stdout.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

# A short run of the smallest experiment. Measurements at 3, 6, … and checkpoints at 5, 10, …:
# neither falls on all of the other's steps.
TINY = Path(__file__).resolve().parent.parent / "tiny.py"
SHORT = [str(TINY), "--quiet", "--averaged", "--steps=20", "--every=3", "--save-every=5"]
SECONDS = 30.0  # what takes longer hangs
# What Python does to the disk, as `sys.addaudithook` calls it. C++ writes arrays in between.
TOUCHES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.listdir",
           "os.scandir", "shutil.rmtree")  # fmt: skip


class Ended(NamedTuple):
    """How a command ended."""

    status: int  # the exit status; -9 for one that was killed; None stands for no end
    out: str
    err: str
    touches: int  # how often it touched a run's folder
    hung: bool


Play = Callable[..., Any]  # as `server` says


@contextmanager
def server(**environment: str) -> Iterator[Play]:
    """play(*argv, die_at=None, die_after=None, then=None) -> how the command ended.

    die_at: SIGKILL before the run's folder is touched for the n-th time, from 1
    die_after: SIGKILL after so many seconds
    at, do: a Python statement `do`, executed before the folder is touched for the n-th time
    before: Python statements, executed before the command
    beside: commands at the same time, {"argv", "before"} each; then a list of how all ended

    environment: variables that the commands find beside this process's own.
    """
    command = [sys.executable, str(Path(__file__).resolve())]
    pipe: Any = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as noise,
        subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=noise,
            text=True,
            env={**os.environ, **environment},
        ) as process,
    ):
        requests, answers = process.stdin, process.stdout
        assert requests
        assert answers

        def play(*argv: object, **how: Any) -> Any:
            request = {"argv": list(map(str, argv)), **how}
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            answer = answers.readline()
            if not answer:
                noise.seek(0)
                raise RuntimeError(f"the server ended: {noise.read()}")
            ended = [Ended(*each) for each in json.loads(answer)]
            return ended if "beside" in how else ended[0]

        try:
            yield play
        finally:
            requests.close()


def serve() -> None:
    """Answers requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import_everything()
    for line in sys.stdin:
        request = json.loads(line)
        started = [begin(each) for each in (request, *request.get("beside", []))]
        answers.write(json.dumps([end(*each, request.get("die_after")) for each in started]) + "\n")
        answers.flush()


def begin(request: dict[str, Any]) -> tuple[int, list[Path]]:
    """The process of a command, and its files."""
    # no TemporaryDirectory: a fork that ends would remove it
    place = Path(tempfile.mkdtemp())
    files = [place / name for name in ("out", "err", "touches")]
    child = os.fork()
    if child == 0:
        be_command(request, files)
    return child, files


def end(child: int, files: list[Path], die_after: float | None) -> list[Any]:
    """How a command ended, as `Ended` has it."""
    status, hung = wait(child, die_after)
    out, err, touches = (f.read_text("utf-8", "replace") if f.exists() else "" for f in files)
    shutil.rmtree(files[0].parent)
    return [status, out, err, int(touches or 0), hung]


def import_everything() -> None:
    """What a command imports, but nothing that starts threads."""
    import ganjax.cli
    import ganjax.runs.request
    import ganjax.runs.train
    import ganjax.runs.written  # noqa: F401

    sys.path.insert(0, str(TINY.parent))
    import plain

    plain.Figure.savefig = plain.without_axes  # type: ignore[method-assign, assignment]


def wait(child: int, die_after: float | None) -> tuple[int, bool]:
    """The exit status of a child, and whether it had to be killed because it hung."""
    began, sent = time.monotonic(), False
    while True:
        pid, raw = os.waitpid(child, os.WNOHANG)
        passed = time.monotonic() - began
        if pid:
            return os.waitstatus_to_exitcode(raw), passed > SECONDS
        if not sent and passed > (SECONDS if die_after is None else die_after):
            sent = True
            # what hangs says where, on stderr
            os.kill(child, signal.SIGABRT if die_after is None else signal.SIGKILL)
        time.sleep(0.002)


def be_command(request: dict[str, Any], files: list[Path]) -> None:
    """Becomes the command; does not return."""
    for number, file in zip((1, 2), files):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    faulthandler.enable(file=2, all_threads=True)
    touches, folder = 0, str(Path(request["folder"])) if "folder" in request else "\0"
    busy = False

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal touches, busy
        if busy or event not in TOUCHES or not str(args[0]).startswith(folder):
            return
        busy, touches = True, touches + 1
        if touches == request.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if touches == request.get("at"):
            exec(request["do"], {})
        busy = False

    sys.addaudithook(hook)
    from ganjax.cli import main

    try:
        exec(request.get("before", ""), {})
        sys.exit(main(request["argv"]))
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    busy = True
    files[2].write_text(str(touches))
    atexit._run_exitfuncs()  # what a Python that ends does: a thread that never ends hangs here
    threading._shutdown()  # type: ignore[attr-defined]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(status or 0))


if __name__ == "__main__":
    serve()
