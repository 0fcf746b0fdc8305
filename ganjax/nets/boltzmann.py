"""Boltzmann machines: a player whose parameters are an energy, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from flax.linen import initializers as inits
from jax import Array, random
from jax.nn import logsumexp, sigmoid, softmax, softplus
from jax.scipy.special import logit
from jax.typing import ArrayLike

from ganjax.keys import stream


class Machine(struct.PyTreeNode):
    """p(v, h) = exp(-E(v, h)) / Z with E = -b·v - c·h - v·W h - v·L v / 2 - h·J h / 2, all units
    0 or 1.

    Without L and J it is restricted (an RBM): given one layer, the units of the other are
    independent. The last `classes` visible units are one unit of that many states, one-hot
    (Larochelle and Bengio 2008; recalled, not read). Methods but `energy` and `interpolated` are of
    restricted machines.
    """

    b: Array  # [V], or [..., V]
    c: Array  # [H], or [..., H] where it differs from example to example
    W: Array  # [V, H]
    L: Array | None = None  # [V, V], symmetric, its diagonal 0
    J: Array | None = None  # [H, H], as L
    classes: int = struct.field(pytree_node=False, default=0)

    def energy(self, v: Array, h: Array) -> Array:
        """E(v, h) in nats, [..., V], [..., H] -> [...]."""
        E = -v @ self.b - h @ self.c - jnp.einsum("...i,ij,...j->...", v, self.W, h)
        for units, weights in ((v, self.L), (h, self.J)):
            if weights is not None:
                E -= jnp.einsum("...i,ij,...j->...", units, weights, units) / 2
        return E

    def free_energy(self, v: Array) -> Array:
        """F(v) = -log of the sum of exp(-E(v, h)) over all h, [..., V] -> [...]."""
        return -v @ self.b - softplus(self.c + v @ self.W).sum(-1)

    def hidden_free_energy(self, h: Array) -> Array:
        """-log of the sum of exp(-E(v, h)) over all v, [..., H] -> [...]."""
        plain, one_hot = self._split(self.b + h @ self.W.T)
        labels = logsumexp(one_hot, -1) if self.classes else 0
        return -h @ self.c - softplus(plain).sum(-1) - labels

    def up(self, v: Array) -> Array:
        """p(h = 1 | v), [..., V] -> [..., H]."""
        return sigmoid(self.c + v @ self.W)

    def down(self, h: Array) -> Array:
        """p(v = 1 | h), [..., H] -> [..., V]."""
        plain, one_hot = self._split(self.b + h @ self.W.T)
        return jnp.concatenate([sigmoid(plain), softmax(one_hot)], -1)

    def draw_visible(self, key: Array, h: Array) -> Array:
        """A sample of p(v | h), [..., H] -> [..., V]."""
        plain, one_hot = self._split(self.b + h @ self.W.T)
        v = draw_units(key, sigmoid(plain))
        if not self.classes:
            return v
        label = random.categorical(stream(key, "label"), one_hot)
        return jnp.concatenate([v, jax.nn.one_hot(label, self.classes)], -1)

    def gibbs(self, key: Array, v: Array, steps: int) -> Array:
        """v after so many steps of block Gibbs sampling, each h given v, then v given h."""

        def body(t: ArrayLike, v: Array) -> Array:
            own = random.fold_in(key, t)
            h = draw_units(stream(own, "h"), self.up(v))
            return self.draw_visible(stream(own, "v"), h)

        return jax.lax.fori_loop(0, steps, body, v)

    def given(self, label: Array) -> Machine:
        """The machine of the other visible units given labels, int32 [...]: p(x | y)."""
        b, _ = self._split(self.b)
        W = self.W[: self.W.shape[0] - self.classes]
        return Machine(b, self.c + self.W[self.W.shape[0] - self.classes :][label], W)

    def label_energies(self, x: Array) -> Array:
        """F(x, y) for each label y, [..., V - classes] -> [..., classes]."""
        each = [
            self.given(jnp.int32(y)).free_energy(x) - self._split(self.b)[1][y]
            for y in range(self.classes)
        ]
        return jnp.stack(each, -1)

    def interpolated(self, other: Machine, beta: ArrayLike) -> Machine:
        """Energy (1 - beta) E + beta E' of this machine and another one."""
        return jax.tree.map(lambda a, b: (1 - beta) * a + beta * b, self, other)

    def _split(self, a: Array) -> tuple[Array, Array]:
        """What belongs to plain units, and what to the label's."""
        plain = a.shape[-1] - self.classes
        return a[..., :plain], a[..., plain:]


class Boltzmann(nn.Module):
    """The parameters of a `Machine`: a player without inputs.

    Weights begin as N(0, .01²), as in Hinton's practical guide (recalled, not read), hidden biases
    at 0.
    """

    visible: int
    hidden: int
    bias: Callable[..., Array] = inits.zeros  # of the visible units
    classes: int = 0
    restricted: bool = True

    @nn.compact
    def __call__(self) -> Machine:
        V, H, small = self.visible, self.hidden, inits.normal(0.01)
        b, c = self.param("b", self.bias, (V,)), self.param("c", inits.zeros, (H,))
        W = self.param("W", small, (V, H))
        if self.restricted:
            return Machine(b, c, W, classes=self.classes)
        L, J = (self.param(name, small, (n, n)) for name, n in (("L", V), ("J", H)))
        return Machine(b, c, W, _between(L), _between(J), self.classes)


def _between(A: Array) -> Array:
    """A matrix made symmetric, without its diagonal: no unit is connected with itself."""
    return (A + A.T) / 2 * (1 - jnp.eye(len(A)))


def draw_units(key: Array, p: Array) -> Array:
    """Units that are 1 with these probabilities, otherwise 0; float32."""
    return random.bernoulli(key, p).astype(jnp.float32)


def marginal_logits(x: np.ndarray, label: np.ndarray | None = None, classes: int = 0) -> np.ndarray:
    """Visible biases of a machine without weights that is nearest the data: the logit of each
    pixel's mean, then of each class's share, float32 [V].

    x: images, uint8 [N, ...] or floats in 0..1. The guide's log p / (1 - p), but one half-bright
    image is counted besides, so that no logit is infinite.
    """
    scale = 255 if x.dtype == np.uint8 else 1
    mean = x.reshape(x.shape[0], -1).mean(0, dtype=np.float64) / scale
    if label is not None:
        mean = np.append(mean, np.bincount(label, minlength=classes) / len(x))
    return np.asarray(logit((len(x) * mean + 0.5) / (len(x) + 1)), np.float32)
