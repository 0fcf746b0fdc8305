"""A run that the code of the commit before has begun goes on with this code, to the same bits."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from runs import TINY

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("--steps", "6", "--every", "2", "--save-every", "3", "--quiet")


def git(*argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *argv], capture_output=True)


def commit_before() -> str:
    """The last tag; without tags the commit before. Skips the test where there is none."""
    if shutil.which("git"):
        for words in (("describe", "--tags", "--abbrev=0"), ("rev-parse", "--verify", "HEAD~1")):
            found = git(*words)
            if found.returncode == 0:
                return found.stdout.decode().strip()
    pytest.skip("there is no git history with a commit before this one")


def ganjax(code: Path, *argv: object) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(code)}
    command = [sys.executable, "-m", "ganjax", *map(str, argv)]
    return subprocess.run(command, env=env, cwd=code, capture_output=True, text=True)


def params(out: Path) -> str:
    return str(json.loads((out / "digest.json").read_text())["params"])


@pytest.mark.slow
def test_a_run_of_the_version_before_goes_on_or_is_refused_by_name(tmp_path: Path) -> None:
    old, file = tmp_path / "old", tmp_path / "tiny.py"
    archive = git("archive", "--format=tar", commit_before())
    assert archive.returncode == 0, archive.stderr
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(old, filter="data")
    shutil.copy(TINY, file)
    for code, name in ((old, "begun"), (ROOT, "whole")):
        done = ganjax(code, "run", file, *STEPS, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    if params(begun) != params(whole):
        pytest.skip("the numbers have changed since that version")
    (begun / "digest.json").unlink()
    shutil.rmtree(begun / "checkpoints" / "6")
    assert (begun / "checkpoints" / "3").is_dir()
    done = ganjax(ROOT, "resume", begun, "--quiet")
    if done.returncode:  # what has changed is named in one line
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert str(begun) in done.stderr
    else:
        assert params(begun) == params(whole)
