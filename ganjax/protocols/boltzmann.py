"""How Boltzmann machines are sampled, measured and evaluated.

Grey values are probabilities of white: where units are needed, they are drawn anew each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jax.nn import log_sigmoid, logsumexp
from jaxtyping import Float
from matplotlib.figure import Figure

from ganjax import data
from ganjax.data import Dataset, Splits
from ganjax.data.splits import train_and_test
from ganjax.experiment import Columns, FinishedRow
from ganjax.figures.curves import curves_of_runs
from ganjax.figures.samples import image_grid
from ganjax.figures.strips import strips
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics import partition
from ganjax.nets.boltzmann import Machine, draw_units, marginal_logits

FEW = 256  # examples of a measurement
AFTER = (1, 10, 100, 1000)  # Gibbs steps at which a chain is shown


def examples(splits: Splits, sharp: bool = False) -> dict[str, np.ndarray]:
    """{"x", "test_x"}, and "label", "test_label" where there are labels, of a dataset's splits; a
    sixth is held out where it has no test images of its own.

    sharp: each pixel is white where it is above its mean over the training images, otherwise black.
    """
    if splits.test is None:
        train, test = train_and_test(splits.train)
    else:
        train, test = _arrays(splits.train), _arrays(splits.test)
    if sharp:
        mean = train["x"].mean(0)
        train, test = ({**part, "x": np.uint8(255) * (part["x"] > mean)} for part in (train, test))
    names = [name for name in ("x", "label") if name in train]
    return {n: train[n] for n in names} | {f"test_{n}": test[n] for n in names}


def draw(arrays: Any, key: Array, n: int, test: bool = False) -> dict[str, Array]:
    """n training (or test) images as rows of 0..1, and their labels: {"x": [n, D], ("label")}."""
    first = "test_" if test else ""
    known = {name: arrays[first + name] for name in ("x", "label") if first + name in arrays}
    batch = data.draw(known, key, n, low=0.0)
    return {**batch, "x": batch["x"].reshape(n, -1)}


def visible(batch: Mapping[str, Array], key: Array, classes: int = 0) -> Float[Array, "B V"]:
    """Images as units that are drawn, then, with classes, their labels one-hot."""
    x = draw_units(stream(key, "binary"), batch["x"])
    if not classes:
        return x
    return jnp.concatenate([x, jax.nn.one_hot(batch["label"], classes)], -1)


def sample(key: Array, n: int, *, R: Bound, steps: int, shape: tuple[int, ...]) -> Array:
    """Images as mean activations p(v | h) at the end of n chains of `steps` Gibbs steps from noise,
    [n, *shape].

    With labels sample i is drawn given label i mod classes.
    """
    machine = R()
    if machine.classes:
        machine = machine.given(jnp.arange(n) % machine.classes)
    return chain_means(machine, key, n, steps).reshape(n, *shape)


def chain_means(machine: Machine, key: Array, n: int, steps: int) -> Float[Array, "n V"]:
    """p(v | h) after n chains of `steps` Gibbs steps from noise."""
    v = draw_units(stream(key, "start"), jnp.full((n, len(machine.W)), 0.5))
    v = machine.gibbs(stream(key, "chain"), v, steps)
    return machine.down(draw_units(stream(key, "last"), machine.up(v)))


def measure(arrays: Any, key: Array, *, R: Bound) -> dict[str, Array]:
    """Of 256 test images the pseudo-likelihood and the reconstruction error; with labels the error
    of their likeliest label over all test images. Pure.
    """
    machine = R()
    batch = draw(arrays, stream(key, "rows"), FEW, test=True)
    v = visible(batch, key, machine.classes)
    numbers = {
        "pseudo_likelihood": pseudo_likelihood(machine, v, batch["x"].shape[1]),
        "reconstruction": jnp.mean((_plain(machine.down(machine.up(v)), batch) - batch["x"]) ** 2),
    }
    if machine.classes:
        numbers["error"] = label_error(machine, arrays)
    return numbers


def pseudo_likelihood(machine: Machine, v: Float[Array, "B V"], pixels: int) -> Float[Array, ""]:
    """The mean over examples of the sum over pixels of log p(v_i | all other units), in nats.

    Besag 1975. All pixels count; a label, where there is one, is among the others.
    """
    a = machine.c + v @ machine.W  # [B, H]

    def gain(i: Array) -> Array:
        """log p(v) - log p(v with unit i changed), [B]."""
        change = 1 - 2 * v[:, i]
        other = a + change[:, None] * machine.W[i]
        hidden = (jax.nn.softplus(a) - jax.nn.softplus(other)).sum(-1)
        return hidden - change * machine.b[i]

    return log_sigmoid(jax.lax.map(gain, jnp.arange(pixels))).sum(0).mean()


def label_error(machine: Machine, arrays: Any) -> Float[Array, ""]:
    """The share, in 0..1, of the test images whose likeliest label is wrong: P(y | x) is exact,
    x being grey values. Pure.
    """
    x = data.scaled(jnp.asarray(arrays["test_x"]), 0.0)
    y = machine.label_energies(x.reshape(len(x), -1)).argmin(-1)
    return (y != arrays["test_label"]).mean()


def evaluate(
    arrays: Any,
    key: Array,
    *,
    R: Bound,
    how: Literal["auto", "exact", "ais"] = "auto",
    betas: int = 2000,
    chains: int = 128,
    base: np.ndarray,
) -> dict[str, float]:
    """{"log_likelihood": of the test images in nats, "log_z", "log_z_error"}. Host code.

    Labels are summed out. log Z by enumeration over the hidden units (its error 0), or by annealed
    importance sampling from a machine of visible biases `base` alone; "auto" enumerates up to 20
    units.
    """
    compiled = jax.jit(_evaluate, static_argnums=(3, 4, 5))
    numbers = compiled(R, arrays, key, how, betas, chains, base)
    return {name: float(value) for name, value in numbers.items()}


def _evaluate(
    R: Bound, arrays: Any, key: Array, how: str, betas: int, chains: int, base: Array
) -> dict[str, Array]:
    machine = R()
    if how == "auto":
        how = "exact" if len(machine.c) <= partition.LIMIT else "ais"
    if how == "exact":
        log_z = partition.log_partition(machine.hidden_free_energy, len(machine.c))
        error = jnp.zeros(())
    else:
        log_z, error = annealed_log_z(machine, stream(key, "ais"), base, betas, chains)
    likelihood = log_likelihood(machine, arrays, log_z)
    return {"log_likelihood": likelihood, "log_z": log_z, "log_z_error": error}


def annealed_log_z(
    machine: Machine, key: Array, base: Float[Array | np.ndarray, " V"], betas: int, chains: int
) -> tuple[Array, Array]:
    """(log Z, its standard error) of a restricted machine by annealed importance sampling.

    It begins at a machine without weights, with visible biases `base`; a step of Gibbs sampling at
    each of `betas` temperatures. As Salakhutdinov and Murray 2008 (recalled, not read), with evenly
    spaced temperatures.
    """
    first = machine.replace(b=base, c=jnp.zeros_like(machine.c), W=jnp.zeros_like(machine.W))
    zeros = jnp.zeros((chains, len(machine.W)))
    found = partition.annealed(
        key,
        first.gibbs(stream(key, "start"), zeros, 1),  # exact, as there are no weights
        lambda v, beta: first.interpolated(machine, beta).free_energy(v),
        lambda own, v, beta: first.interpolated(machine, beta).gibbs(own, v, 1),
        jnp.linspace(0, 1, betas),
    )
    # Without weights h is free of v: any h gives the visible sum, and each unit of it a factor 2.
    h = jnp.zeros(len(machine.c))
    log_z = len(machine.c) * jnp.log(2.0) - first.hidden_free_energy(h)
    return log_z + found["log_ratio"], found["error"]


def log_likelihood(machine: Machine, arrays: Any, log_z: Array) -> Float[Array, ""]:
    """The mean log-probability of `test_units`, in nats; labels summed out. Pure."""
    x = test_units(arrays)
    free = -logsumexp(-machine.label_energies(x), -1) if machine.classes else machine.free_energy(x)
    return -free.mean() - log_z


def test_units(arrays: Any) -> Float[Array, "t D"]:
    """The test images as units, drawn once from their grey values: the same for every run."""
    return units(arrays["test_x"])


def units(x: Any) -> Float[Array, "N D"]:
    """Images as units, drawn once from their grey values: the same for every run."""
    p = data.scaled(jnp.asarray(x), 0.0)
    return draw_units(random.key(0), p.reshape(len(p), -1))


def independent_pixels(arrays: Any) -> dict[str, dict[str, float]]:
    """A row of a table to compare with: the log-likelihood of test images under a machine without
    weights, whose biases are those of the training images.
    """
    b = jnp.asarray(marginal_logits(arrays["x"]))
    machine = Machine(b, jnp.zeros(0), jnp.zeros((len(b), 0)))
    log_z = -machine.hidden_free_energy(jnp.zeros(0))
    return {"independent pixels": {"log_likelihood": float(log_likelihood(machine, arrays, log_z))}}


def filters(machine: Machine, shape: tuple[int, ...]) -> Figure:
    """The weights of the first 64 hidden units to the pixels, as images; zero is grey."""
    W = np.asarray(machine.W[: int(np.prod(shape))]).T[:64].reshape(-1, *shape)
    most = float(np.abs(W).max())
    return image_grid(W, -most, most)


def chain_strips(machine: Machine, arrays: Any, shape: tuple[int, ...], n: int = 16) -> Figure:
    """n test images, and below each p(v | h) after 1, 10, 100 and 1000 Gibbs steps from it."""
    key = random.key(0)
    batch = draw(arrays, key, n, test=True)
    v, images, done = visible(batch, key, machine.classes), [batch["x"]], 0
    run = jax.jit(machine.gibbs, static_argnums=2)
    for steps in AFTER:
        v = run(stream(key, steps), v, steps - done - 1)
        h = draw_units(stream(key, "h", steps), machine.up(v))
        images.append(_plain(machine.down(h), batch))
        v = machine.draw_visible(stream(key, "v", steps), h)
        done = steps
    rows = jnp.stack(images, 1).reshape(n, -1, *shape)
    return strips(rows, ("data", "1", "10", "100", "1k"))


def curves_of_rows(finished: Mapping[str, FinishedRow]) -> tuple[Columns, Mapping[str, Figure]]:
    """For a table's `after`: pseudo-likelihood and reconstruction error over the steps of every
    row.
    """
    rows = {name: row.metrics for name, row in finished.items()}
    drawn = {name: curves_of_runs(rows, name) for name in ("pseudo_likelihood", "reconstruction")}
    return {}, drawn


def _plain(v: Array, batch: Mapping[str, Array]) -> Array:
    """The pixels of visible units."""
    return v[..., : batch["x"].shape[-1]]


def _arrays(part: Dataset) -> dict[str, np.ndarray]:
    found = part.read()
    assert isinstance(found, dict)
    return found
