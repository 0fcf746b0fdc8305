"""Finds and runs the scripts of benchmarks/."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ganjax.runs.discovery import PACKAGE, nearest_name


def bench(argv: Sequence[str]) -> int:
    """Runs a benchmark; lists them without a name. Raises ValueError for an unknown one."""
    places = (PACKAGE.parent / "benchmarks", Path("benchmarks"))
    texts = {
        path: path.read_text("utf-8") for place in places for path in sorted(place.glob("*.py"))
    }
    scripts = {path.stem: path for path, text in texts.items() if "__main__" in text}
    if not scripts:
        raise ValueError("there is no folder benchmarks here: it comes with the source alone")
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: ganjax bench [NAME …]\n")
        print("`ganjax bench NAME --help` lists its options; --out FOLDER keeps the numbers.\n")
        for name, path in sorted(scripts.items()):
            about = ast.get_docstring(ast.parse(texts[path])) or ""
            print(f"{name:<8} {about.splitlines()[0]}")
        return 0
    if argv[0] not in scripts:
        raise ValueError(f"there is no benchmark {argv[0]}: {nearest_name(argv[0], scripts)}")
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, str(scripts[argv[0]]), *argv[1:]]
    return subprocess.call(command, env=environment)
