"""An exported player gives the same numbers in a process that has no ganjax."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from runs import EXPERIMENTS, call, unmeasured

from ganjax import play
from ganjax.runs import storage
from ganjax.runs.export import exported, flattened
from ganjax.runs.loading import load

pytest.importorskip("safetensors")
pytest.importorskip("flatbuffers")

WITHOUT = """
import sys
sys.modules["ganjax"] = None
import numpy
code = open("README.md").read().split("```python")[1].split("```")[0]
exec(code)
z = numpy.load("z.npy")
numpy.save("y.npy", numpy.asarray(G.call(params, z)))
"""


def test_an_exported_team_is_loaded_without_ganjax_and_gives_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    unmeasured(monkeypatch)
    run = ("run", EXPERIMENTS["mad_gan.py"].path, "--quick", "--steps=2", "--quiet", "--no-cache")
    assert call(*run, "--out", "run") == (0, "", "")
    assert call("export", "run", "--player", "G", "--out", "made")[0] == 0
    assert sorted(path.name for path in Path("made").iterdir()) == [
        "G.jax",
        "G.safetensors",
        "README.md",
    ]
    status, _, err = call("export", "run", "--player", "G", "--out", "made")
    assert (status, err) == (2, "ganjax: made is not empty: choose another --out\n")
    status, _, err = call("export", "run", "--player", "X", "--out", "more")
    assert (status, err) == (2, "ganjax: there is no player X: there are G, D\n")

    assert storage.read_digest(Path("run"))["params"] in Path("made/README.md").read_text()
    assert call("export", "run", "--player", "G", "--step", 1, "--out", "early")[0] == 0
    early = storage.tree_digest(load("run", step=1).state.params)
    assert f"digest of the parameters: {early}\n" in Path("early/README.md").read_text()

    G = load("run").players["G"]
    z = np.asarray(jax.random.normal(jax.random.key(3), (5, *G.player.inputs[0])))
    np.save("made/z.npy", z)
    subprocess.run([sys.executable, "-c", WITHOUT], cwd="made", check=True)
    y = np.load("made/y.npy")
    assert y.shape[:2] == (5, G.n)
    np.testing.assert_allclose(y, np.asarray(jax.jit(lambda G: G(z))(G)), rtol=1e-5, atol=1e-6)


NAMES = ("cgan", "cdcgan", "cyclegan", "gman", "lapgan", "c_rnn_gan", "gan3d", "triple_gan")


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_net_is_exported_for_any_batch(name: str) -> None:
    experiment = EXPERIMENTS[f"{name}.py"].build(EXPERIMENTS[f"{name}.py"].quick)
    shapes = play.template(experiment.played, jax.random.key(0), experiment.data)
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes.replace(key=None))
    for player in play.bound(experiment.played, state).values():
        program, _ = exported(player, flattened(player.variables))
        batch = [str(out.shape[0]) for out in program.out_avals if player.player.inputs]
        assert set(batch) <= {"B"}


def test_a_player_that_returns_no_arrays_is_refused() -> None:
    experiment = EXPERIMENTS["rbm.py"].build(EXPERIMENTS["rbm.py"].quick)
    state = play.init(experiment.played, jax.random.key(0), experiment.data)
    machine = play.bound(experiment.played, state)["R"]
    with pytest.raises(ValueError, match="R cannot be exported: "):
        exported(machine, flattened(machine.variables))
