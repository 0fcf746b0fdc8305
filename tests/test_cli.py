"""The command line: a wrong request is one line on stderr, exit status 2, and nothing else; a right
one does what it says.
"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image
from runs import TINY, call, everything

import ganjax
from ganjax.runs import completion, request, storage, train, written
from ganjax.runs.discovery import experiment_file, files

GAN = Path(__file__).resolve().parent.parent / "experiments" / "gan.py"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_call_is_what_a_shell_sees() -> None:
    made = subprocess.run(
        [sys.executable, str(GAN), "--data", "rign"], capture_output=True, text=True
    )
    assert (made.returncode, made.stdout, made.stderr) == call("run", "gan", "--data", "rign")
    assert made.stderr == "ganjax: there is no dataset 'rign': did you mean ring?\n"
    made = subprocess.run([sys.executable, "-m", "ganjax", "rn"], capture_output=True, text=True)
    assert (made.returncode, made.stdout, made.stderr) == call("rn")


REFUSED = {
    "frobnicate": "unknown command frobnicate: there are list",
    "rn gan": "unknown command rn: did you mean run?",
    "run": "run needs an experiment",
    "run --seed 3": "run needs an experiment",
    "run mad_gn": "did you mean mad_gan?",
    "run nothing.py": "there is no file nothing.py",
    "run taken": "there is no experiment 'taken'",
    "run gan --stesp 3": "did you mean --steps?",
    "run gan stray": "unknown argument stray",
    "run gan --lr": "--lr: expected one argument",
    "run gan --quick=yes": "--quick: ignored explicit argument",
    "run gan --data rign": "did you mean ring?",
    "run gan --data nowhere.npz": "there is no file or folder nowhere.npz",
    "run gan --data file": "file is neither",
    "run gan --data taken": "taken holds no images",
    "run gan --data mnist --data-dir nowhere": "mnist is not prepared in nowhere",
    "run gan --payoff hing": "--payoff: invalid choice",
    "run gan --precision float16": "--precision: invalid choice",
    "run gan --lanes both": "--lanes: invalid choice",
    "run gan --steps 1e3": "--steps: invalid int value: '1e3'",
    "run gan --steps -5": "steps must be above 0; got -5",
    "run gan --steps 0": "steps must be above 0; got 0",
    "run gan --steps 99999999999": "--steps: must be",
    "run gan --lr fast": "--lr: invalid float value: 'fast'",
    "run gan --lr nan": "lr must be above 0; got nan",
    "run gan --lr inf": "lr must be above 0; got inf",
    "run gan --lr=-inf": "lr must be above 0; got -inf",
    "run gan --lr 1e999": "lr must be above 0; got inf",
    "run mad_gan --k 0": "k must be above 0; got 0",
    "run mad_gan --k 10000000000": "--k: must be",
    "run mad_gan --seeds 0": "--seeds: must be 1 or more",
    "run mad_gan --seeds 1000000000": "--seeds: must be 1 or more, below 65536",
    "run mad_gan --seed -1": "--seed: must be 0 or more",
    "run mad_gan --seed 2147483648": "--seed: must be 0 or more, below 2147483648",
    "run mad_gan --every 0": "--every: must be 1 or more",
    "run mad_gan --save-every -1": "--save-every: must be 1 or more",
    "run gan --out taken": "taken exists: choose another --out",
    "run gan --out .": ". exists",
    "run gan --out file": "file exists",
    "run gan --out taken --overwrite": "taken is no run's folder",
    "run gan --out file --overwrite": "file is no run's folder",
    "run gan --out file/below": "file/below cannot be written: Not a directory",
    "run gan --out /proc/ganjax": "/proc/ganjax cannot be written",
    "resume": "required: out",
    "resume nowhere": "nowhere is no run",
    "resume taken": "taken is no run",
    "resume file": "file is no run",
    "resume list": "list is no run",
    "resume half": "half is no run",
    "resume taken --width 9": "unknown argument --width",
    "sample taken": "required: --out",
    "sample taken --out x.png": "taken is no run",
    "sample taken --out file": "file exists: choose another --out",
    "sample taken --out taken/": "taken is not empty: choose another --out",
    "sample taken --out half": "half is not empty: choose another --out",
    "sample taken --out file/": "file exists: choose another --out",
    "sample taken --out nowhere/new/": "nowhere is no folder",
    "sample taken --out nowhere/x.png": "nowhere is no folder",
    "sample taken --out x.png --n 0": "--n: must be 1 or more",
    "sample taken --out x.png --class -1": "--class: must be 0 or more",
    "sample taken --out x.png --interpolate 1": "--interpolate: must be 2 or more",
    "reproduce mad_gan/demoo": "did you mean mad_gan/demo?",
    "reproduce --rows GAN mad_gan/demo": "--rows comes after the table",
    "reproduce mad_gan/demo --rows WGAN": "mad_gan/demo has no row 'WGAN'",
    "reproduce mad_gan/demo --binary": "row GAN, ring is played by gan, which has no option binary",
    "report file": "required: --out",
    "report --out x.md": "required: RUN|RECORD",
    "report file --out x.pdf": "--out ends in .md or .html; got x.pdf",
    "report file --out x.html": "file is no run: it needs an options.json made by",
    "report file --out nowhere/x.md": "nowhere is no folder",
    "report file --out x.md": "file is no record of a table",
    "report taken --out x.md": "taken is no record of a table",
    "report nowhere --out x.md": "nowhere is no record of a table",
    "report list/options.json --out x.md": "is no record of a table",
    "report half/options.json --out x.md": "is no record of a table",
    "list gan": "unknown argument gan",
    "completion": "required: shell",
    "completion fish": "invalid choice: 'fish'",
    "data": "required: list|prepare|show",
    "data shw": "invalid choice: 'shw'",
    "data show rign --out x.png": "did you mean ring?",
    "data show ring --out x.gif": "--out ends in .png",
    "data show ring --out file/x.png": "file is no folder",
}


@pytest.mark.parametrize("request_", REFUSED)
def test_a_wrong_request_is_one_line_and_status_2(request_: str) -> None:
    Path("taken").mkdir()
    for path, text in {
        "taken/mine.txt": "mine",
        "file": "",
        "list/options.json": "[]",
        "half/options.json": '{"steps": 3}',
    }.items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(text)
    before = everything()
    status, out, err = call(*request_.split())
    assert (status, out) == (2, "")
    assert err.startswith("ganjax: ")
    assert err.count("\n") == 1
    assert REFUSED[request_] in err
    assert everything() == before


OPTIONS = """
from __future__ import annotations
from dataclasses import dataclass
from ganjax.experiment import option

@dataclass(frozen=True)
class Options:
    {}

def experiment(o):
    '''E.'''
"""


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "x = (": "cannot be imported: SyntaxError",
        "import nothing_of_this_name": "cannot be imported: ModuleNotFoundError",
        "def game(): ...": "defines no function experiment",
        "def experiment(o): ...": "defines no dataclass Options",
        OPTIONS.format("seed: int = 0"): "cannot have an option seed",
        OPTIONS.format("cache: bool = True"): "cannot have an option cache",
        OPTIONS.format(
            "k: Nothing = 0"
        ): "annotates an option with an unknown type: name 'Nothing'",
        OPTIONS.format("k: int"): "the option k has no default",
        OPTIONS.format("k: int = 0") + "    return o": "returns an Experiment, not Options",
    }.items(),
)
def test_a_file_that_is_no_experiment_is_one_line(text: str, said: str) -> None:
    Path("mine.py").write_text(text)
    status, out, err = call("run", "mine.py")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_list_names_every_experiment_and_says_which_cannot_be_imported() -> None:
    Path("experiments").mkdir()
    field = 'data: str = option("x", "this or that")'
    text = '"""Mine: a game.\n\nMore.\n"""\n' + OPTIONS.format(field) + '\nGROUP = "mine"\n'
    Path("experiments/mine.py").write_text(text)
    Path("experiments/broken.py").write_text("def experiment(o: 1 / 0")
    Path("experiments/script.py").write_text('open("ran", "w")')
    status, out, err = call("list")
    assert not Path("ran").exists()
    assert status == 0
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert sorted(listed) == [
        file.name for file in files() if file.name not in ("broken", "script")
    ]
    assert out.startswith("adversarial games\n  adversarial ")
    assert "\n\nmine\n  mine             Mine: a game.\n" in out
    assert err.count("\n") == 2
    assert "broken.py cannot be imported: SyntaxError" in err
    assert "script.py is no experiment: it defines no experiment" in err


def test_tables_of_one_experiment_are_looked_up_without_running_another_file() -> None:
    Path("experiments").mkdir()
    text = 'open("ran", "w")\ndef experiment(o): ...\nclass Options: ...\n'
    Path("experiments/mine.py").write_text(text)
    status, _, err = call("reproduce", "gan/none")
    assert (status, Path("ran").exists()) == (2, False)
    assert "there is no table gan/none" in err


def test_help_lists_every_option_with_its_default() -> None:
    status, out, err = call("run", TINY, "--help")
    assert (status, err) == (0, "")
    for option in experiment_file(str(TINY)).options().values():
        assert "--" + option.name in out
        assert option.default is None or f"(default: {option.default})" in " ".join(out.split())
    assert "100 % ignored" in out
    assert all(
        flag in out
        for flag in (
            "--seed ",
            "--seeds ",
            "--lanes ",
            "--out ",
            "--overwrite",
            "--quick",
            "--no-averaged",
        )
    )
    for argv in ([], ["--help"], ["run", "--help"], ["resume", "--help"], ["--version"]):
        status, out, err = call(*argv)
        assert (status, err) == (0, "")
        assert out


def test_a_shell_completes_commands_experiments_and_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(completion, "experiments", lambda: [experiment_file(str(GAN))])
    status, script, err = call("completion", "bash")
    assert (status, err) == (0, "")
    assert script in call("completion", "zsh")[1]
    Path("ganjax.sh").write_text(script)
    wanted = {
        "ganjax sa": ["sample"],
        "ganjax run g": ["gan"],
        "ganjax run gan --k 3 --payo": ["--payoff"],
        "ganjax run gan --fr": ["--from"],
        "ganjax sample runs/x --st": ["--step"],
        "ganjax sample ru": [],
    }
    for line, found in wanted.items():
        words = f"COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _ganjax"
        shell = f'source ganjax.sh; {words}; echo "${{COMPREPLY[@]}}"'
        made = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
        assert made.stdout.split() == found


def asked(argv: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options.json of a request, as it is when the run begins; beside it is the file alone."""
    seen = {}

    def trained(out: Path, *_: Any, **__: Any) -> dict[str, Any]:
        assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [
            "options.json",
            "tiny.py",
        ]
        seen.update(json.loads((out / "options.json").read_text()))
        return {}

    monkeypatch.setattr(train, "train", trained)
    assert call("run", TINY, "--quiet", "--no-cache", *argv.split()) == (0, "", "")
    return seen


def test_options_json_comes_first_and_holds_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    written = asked(
        "--lr=0.5 --note=7 --averaged --seed=5 --seeds=3 --every=7 --save-every=9 --fast",
        monkeypatch,
    )
    file = experiment_file(str(TINY))
    own = {"lr": 0.5, "note": "7", "averaged": True}
    assert written["options"] == {
        option.name: own.get(option.name, option.default) for option in file.options().values()
    }
    assert (written["experiment"], written["path"], written["sha"]) == ("tiny", str(TINY), file.sha)
    assert written["seeds"] == [5, 6, 7]
    assert (written["steps"], written["every"], written["save_every"]) == (20, 7, 9)
    assert (written["lanes"], written["precision"], written["deterministic"]) == (
        "vmap",
        "float32",
        False,
    )
    assert set(written["versions"]) == {"python", "jax", "jaxlib", "flax", "optax", "ganjax"}
    assert (written["device"]["kind"], written["device"]["count"]) == (
        jax.devices()[0].device_kind,
        jax.device_count(),
    )


def test_quick_changes_the_defaults_and_explicit_options_win(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = asked("--quick --width 3 --out a", monkeypatch)["options"]
    assert (options["steps"], options["width"], options["lr"]) == (4, 3, 0.1)
    options = asked("--width 4 --out b", monkeypatch)["options"]
    assert (options["steps"], options["width"]) == (20, 4)


def test_a_run_its_resumption_and_its_samples() -> None:
    status, out, err = call("run", TINY, "--quick", "--seeds", "2", "--out", "a", "--no-cache")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].startswith("seed 0: ")
    assert out.splitlines()[-1].startswith("a: 4 steps, params ")
    made, before = json.loads(Path("a/digest.json").read_text()), everything()
    assert made["steps"] == 4
    assert made["metrics"] == storage.metrics_digest(storage.read_rows(Path("a/metrics.jsonl")))

    assert call("resume", "a") == (0, out, "")
    assert everything() == before

    for file in ("a.npz", "again.npz", "a.png"):
        assert call("sample", "a", "--n", "5", "--out", file) == (0, "", "")
    x = np.load("a.npz")["x"]
    assert x.shape == (5, 1)
    assert np.isfinite(x).all()
    assert (x == np.load("again.npz")["x"]).all()
    with Image.open("a.png") as picture:
        assert picture.format == "PNG"

    assert call("sample", "a", "--out", "one.csv") == (0, "", "")
    assert call("sample", "a", "--n", "5", "--out", "new/") == (0, "", "")
    Path("empty").mkdir()
    assert call("sample", "a", "--n", "2", "--out", "empty") == (0, "", "")
    written = {str(p): float(p.read_text()) for p in [*Path("new").iterdir(), Path("one.csv")]}
    first = np.float32(written.pop("one.csv"))
    assert sorted(written) == [f"new/000{i}.txt" for i in range(5)]
    assert [written[f"new/000{i}.txt"] for i in range(5)] == list(map(float, x[:, 0]))
    assert call("sample", "a", "--n", "1", "--out", "one.npz") == (0, "", "")
    assert first == np.load("one.npz")["x"].item()
    assert len(list(Path("empty").iterdir())) == 2

    own = ["--seed 0", "--step 4", "--lane 0"]
    for i, asked in enumerate([*own, "--seed 1", "--lane 1", "--interpolate 5"]):
        assert call("sample", "a", "--n", "5", "--out", f"{i}.npz", *asked.split())[0] == 0
        assert (np.load(f"{i}.npz")["x"] == x).all() == (asked in own)
    first_seed = ganjax.load("a", seed=0)
    assert (first_seed.sample(5) == x).all()
    assert (first_seed.step, first_seed.options.width) == (4, 2)
    assert [row["step"] for row in first_seed.metrics] == [1, 2, 3, 4]
    assert set(first_seed.players) == {"G", "D"}

    made_before = everything()
    for out, said in {
        "x.gif": "--out ends in .png or .npz or .txt or .csv; got x.gif",
        "nosuffix": "--out ends in .png or .npz or .txt or .csv; got nosuffix",
        "empty/": "empty is not empty: choose another --out",
        "x.png --step 9": "a keeps no step 9: it keeps 2, 3, 4",
        "x.png --lane 2": "a has no seed 2: there are 0, 1",
        "x.png --class 0": "this experiment makes no samples of class 0: its samples are of no "
        "class",
    }.items():
        assert call("sample", "a", "--out", *out.split()) == (2, "", f"ganjax: {said}\n")
    status, _, err = call("sample", "a", "--n", "5", "--out", "x.txt")
    assert (status, err.count("\n")) == (2, 1)
    assert "a .txt holds one sample: say --n 1, or a folder" in err
    assert everything() == made_before

    status, _, err = call("sample", "a", "--out", "a.npz")
    assert (status, err) == (2, "ganjax: a.npz exists: choose another --out\n")

    status, _, err = call("run", TINY, "--quick", "--out", "a")
    assert (status, err.count("\n")) == (2, 1)
    assert {name: text for name, text in everything().items() if name in before} == before
    assert call("run", TINY, "--quick", "--out", "a", "--overwrite", "--quiet", "--no-cache") == (
        0,
        "",
        "",
    )
    assert "seeds" not in json.loads(Path("a/digest.json").read_text())


def test_a_folder_of_files_is_refused_where_an_experiment_writes_none() -> None:
    plain = dataclasses.replace(experiment_file(str(TINY)).build({}), files={})
    with pytest.raises(ValueError, match=r"^this experiment writes no files .* got new/$"):
        written.number_of_samples(plain, "new/", None)


def test_an_experiment_run_by_python_is_ganjax_run() -> None:
    made = subprocess.run(
        [sys.executable, TINY, "--quick", "--seed=3", "--quiet", "--out=a"],
        capture_output=True,
        text=True,
    )
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    assert call("run", TINY, "--quick", "--seed=3", "--quiet", "--out=b") == (0, "", "")
    assert Path("a/options.json").read_text() == Path("b/options.json").read_text()
    assert Path("a/digest.json").read_text() == Path("b/digest.json").read_text()


def test_an_interrupt_before_the_run_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(request, "prepare_run", interrupted)
    assert call("run", TINY) == (130, "", "ganjax: interrupted\n")
    assert everything() == {}


def test_a_full_disk_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "append_rows", full)
    status, out, err = call("run", TINY, "--quick", "--quiet", "--no-cache")
    assert (status, out, err) == (1, "", "ganjax: [Errno 28] No space left on device\n")
