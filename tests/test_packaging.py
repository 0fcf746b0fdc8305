"""What the Dockerfile copies is enough to install a ganjax that trains, in an empty place."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    words = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in words]


def test_the_dockerfile_names_what_there_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [rest for name, rest in instructions() if name == "ARG" and rest.startswith("EXTRA=")]
    told = re.findall(r"EXTRA=([\w,]+)", (ROOT / "Dockerfile").read_text())
    assert extras
    assert {each for extra in told for each in extra.split(",")} <= {
        *project["optional-dependencies"]
    }
    for name, rest in instructions():
        if name == "COPY":
            assert all((ROOT / source).exists() for source in rest.split()[:-1])
    assert dict(instructions())["ENTRYPOINT"] == f'["{next(iter(project["scripts"]))}"]'


@pytest.mark.slow
def test_it_installs_and_trains_in_an_empty_environment(tmp_path: Path) -> None:
    source, python = tmp_path / "source", tmp_path / "venv" / "bin" / "python"
    source.mkdir()
    for name, rest in instructions():
        if name == "COPY":
            *files, place = rest.split()
            for file in files:
                if (ROOT / file).is_dir():
                    shutil.copytree(ROOT / file, source / place)
                else:
                    shutil.copy(ROOT / file, source / place)
    (run,) = [rest for name, rest in instructions() if name == "RUN"]
    (extra,) = [rest[6:] for name, rest in instructions() if rest.startswith("EXTRA=")]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = run.replace("python -m pip", f"{python} -m pip").replace("${EXTRA}", extra)
    done = subprocess.run(install, shell=True, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    work = tmp_path / "work"
    work.mkdir()
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(work)}
    for command, said in (
        ("ganjax --version", "ganjax "),
        ("ganjax list", "mad_gan"),
        ("ganjax run gan --data ring --quick --steps 3 --out run", "run: 3 steps"),
        ("ganjax report run --out run.html", ""),
        ("ganjax export run --player G --out G", ""),
    ):
        done = subprocess.run(
            command.split(), cwd=work, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stderr)
        assert said in done.stdout
    assert (work / "run.html").exists()
    assert (work / "G" / "README.md").exists()
