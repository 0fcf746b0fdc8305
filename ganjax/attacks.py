"""Attacks on a classifier: from images that it reads, near ones that it misreads.

The classifier is any function `logits` from images [B, *shape] in 0..1 to logits [B, K]: a bound
player (without a key it drops nothing out), a Flax net's `apply` with its variables, a plain
function. Attacks are pure, may be jitted, and return images of the shape of x in 0..1. An image
that is misread already is attacked like all others.

Each raises ValueError, one line, where x is not in 0..1, a label is no class, or a size is below 0
or not finite; under `jit`, where values are not known, only shapes are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Float, Int, Key

from ganjax import team
from ganjax.losses import ce

Logits = Callable[[Array], Array]
Images = Float[Array, "B *shape"]
Labels = Int[Array, "_"]  # [B]; `check` says in one line where there are fewer
# On CPU a convolution is slow in a loop, so fewer steps than this are written out.
UNROLLED = 64


def fgsm(logits: Logits, x: Images, y: Labels, eps: ArrayLike) -> Images:
    """The fast gradient sign method: one step of eps along the sign of the loss's gradient.

    Goodfellow, Shlens and Szegedy 2015: x + eps sign(∇_x J(x, y)), clipped to 0..1. J is the cross
    entropy; eps is a difference of pixels.
    """
    check(logits, x, y, eps=eps)
    return jnp.clip(x + eps * jnp.sign(_gradient(logits, x, y)), 0, 1)


def pgd(
    logits: Logits,
    x: Images,
    y: Labels,
    eps: ArrayLike,
    rate: ArrayLike = 0.01,
    steps: int = 40,
    key: Key[Array, ""] | None = None,
    restarts: int = 1,
) -> Images:
    """Projected gradient ascent on the cross entropy within eps of each pixel.

    Madry et al. 2018: x <- clip(x + rate sign(∇ J)), back into the ball, then into 0..1. With a key
    it starts at random in the ball, as they do; without one at x. Of several restarts, which run
    side by side, an image keeps the one whose margin against its label is largest: if any restart
    fools the classifier, the result does.
    """
    check(logits, x, y, eps=eps, rate=rate)
    if restarts < 1 or steps < 1 or (key is None and restarts > 1):
        raise ValueError(
            "an attack has 1 or more steps and restarts, and a key where it restarts; "
            f"got steps={steps}, restarts={restarts}{'' if key is not None else ', no key'}"
        )
    centre = jnp.tile(x, (restarts, *[1] * (x.ndim - 1)))  # [restarts B, *shape]
    label = jnp.tile(y, restarts)
    low, high = jnp.clip(centre - eps, 0, 1), jnp.clip(centre + eps, 0, 1)
    first = centre
    if key is not None:
        first = jnp.clip(centre + eps * random.uniform(key, centre.shape, minval=-1), 0, 1)

    def climb(x: Array) -> Array:
        return jnp.clip(x + rate * jnp.sign(_gradient(logits, x, label)), low, high)

    last = _repeat(climb, first, steps)  # [restarts B, *shape]
    if restarts == 1:
        return last
    best = margin(logits(last), label).reshape(restarts, len(x)).argmax(0)  # [B]
    return last.reshape(restarts, *x.shape)[best, jnp.arange(len(x))]


def random_noise(key: Key[Array, ""], x: Images, norm: Float[Array, " B"]) -> Images:
    """x with Gaussian noise whose L2 norm after the clip to 0..1 is `norm`: an attack's control.

    Where the clip allows no such norm, it is the largest possible one.
    """
    chex.assert_shape(norm, (len(x),))
    noise = random.normal(key, x.shape)
    wide = (len(x), *[1] * (x.ndim - 1))

    def moved(scale: Array) -> Array:
        return jnp.clip(x + scale.reshape(wide) * noise, 0, 1)

    def halve(_: ArrayLike, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        short = distance(x, moved(middle)) < norm
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    ends = jnp.zeros_like(norm), 1 + norm
    return moved(lax.fori_loop(0, 30, halve, ends)[1])


def carlini_wagner(
    logits: Logits,
    x: Images,
    y: Labels,
    steps: int = 1000,
    searches: int = 9,
    rate: float = 1e-2,
    c: float = 1e-3,
    confidence: float = 0.0,
) -> Images:
    """The nearest image in L2 that is not read as y, by Carlini and Wagner 2017, untargeted.

    It minimises ‖x' - x‖² + c max(Z_y - max_{i≠y} Z_i, -confidence) over w, x' = (tanh w + 1) / 2,
    by Adam; each image has its own c, found by `searches` steps of a binary search. Rates, first c
    and the factor .999999 within tanh are the authors' code's, which also stops early. An image for
    which nothing was found is returned as it was.
    """
    check(logits, x, y, rate=rate, c=c, confidence=confidence)
    start = jnp.arctanh((2 * x - 1) * 0.999999)
    adam = optax.adam(rate)

    def image(w: Array) -> Array:
        return (jnp.tanh(w) + 1) / 2

    def loss(w: Array, c: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        new = image(w)
        far, z = ((new - image(start)) ** 2).sum(range(1, x.ndim)), logits(new)
        against = -margin(z, y)
        return (far + c * jnp.maximum(against, -confidence)).sum(), (far, against, new)

    def descend(c: Array, carry: Any) -> Any:
        w, opt, nearest, best, found = carry
        grad, (far, against, new) = jax.grad(loss, has_aux=True)(w, c)
        fooled = against < -confidence
        better = fooled & (far < nearest)
        best = jnp.where(_wide(better, x), new, best)
        updates, opt = adam.update(grad, opt)
        return w + updates, opt, jnp.where(better, far, nearest), best, found | fooled

    def search(carry: Any) -> Any:
        c, low, high, nearest, best = carry
        first = (start, adam.init(start), nearest, best, jnp.zeros(len(x), bool))
        *_, nearest, best, found = lax.fori_loop(
            0, steps, lambda _, carry: descend(c, carry), first
        )
        high = jnp.where(found, jnp.minimum(high, c), high)
        low = jnp.where(found, low, jnp.maximum(low, c))
        c = jnp.where(jnp.isinf(high), 10 * c, (low + high) / 2)
        return c, low, high, nearest, best

    each = jnp.ones(len(x))
    first = (c * each, 0 * each, jnp.inf * each, jnp.inf * each, x)
    return lax.fori_loop(0, searches, lambda _, carry: search(carry), first)[-1]


def deepfool(logits: Logits, x: Images, steps: int = 50, overshoot: float = 0.02) -> Images:
    """A small step over the nearest boundary of the class that x is read as, in L2.

    Moosavi-Dezfooli et al. 2016, algorithm 2: the classifier is made linear at x, again and again
    until the class changes, at most `steps` times. The constant 1e-5 beside |f| is CleverHans's.
    """
    check(logits, x, overshoot=overshoot)
    own = logits(x).argmax(-1)  # [B]

    def moved(r: Array) -> Array:
        return jnp.clip(x + (1 + overshoot) * r, 0, 1)

    def push(r: Array) -> Array:
        z, back = jax.vjp(logits, moved(r))
        one_hot = jnp.eye(z.shape[-1], dtype=z.dtype)
        slopes = jax.vmap(lambda one: back(jnp.broadcast_to(one, z.shape))[0])(one_hot)
        slopes = jnp.moveaxis(slopes, 0, 1)  # [B, K, *shape]
        at_own = jnp.arange(len(x)), own
        w = slopes - slopes[at_own][:, None]
        f = jnp.abs(z - z[at_own][:, None])  # [B, K]
        square = (w**2).sum(range(2, w.ndim))
        far = jnp.where(square > 0, f / jnp.sqrt(jnp.where(square > 0, square, 1)), jnp.inf)
        nearest = jnp.arange(len(x)), far.argmin(-1)
        size = (f[nearest] + 1e-5) / jnp.maximum(square[nearest], 1e-30)
        still = z.argmax(-1) == own
        return r + jnp.where(_wide(still, x), size.reshape(_wide(still, x).shape) * w[nearest], 0)

    def going_on(carry: tuple[Array, Array]) -> Array:
        i, r = carry
        return (i < steps) & (logits(moved(r)).argmax(-1) == own).any()

    first = jnp.int32(0), jnp.zeros_like(x)
    _, r = lax.while_loop(going_on, lambda carry: (carry[0] + 1, push(carry[1])), first)
    return moved(r)


def margin(z: Float[Array, "B K"], y: Labels) -> Float[Array, " B"]:
    """The largest logit of another class than y, less that of y: above 0, y is not read."""
    mine = jnp.arange(z.shape[-1]) == y[:, None]
    return jnp.where(mine, -jnp.inf, z).max(-1) - jnp.where(mine, z, 0).sum(-1)


def distance(a: Images, b: Images) -> Float[Array, " B"]:
    """The L2 norm of each image's difference."""
    return jnp.sqrt(((a - b) ** 2).sum(range(1, a.ndim)))


def check(logits: Logits, x: Any, y: Any = None, **sizes: Any) -> None:
    """Raises ValueError, one line, where an attack cannot begin; values of tracers are not seen.

    sizes: numbers that are finite and not below 0, by name.
    """
    for name, size in sizes.items():
        if not isinstance(size, Tracer) and not 0 <= float(size) < np.inf:
            raise ValueError(f"{name} is a finite number, 0 or more; got {size}")
    if not _holds(lambda x: (x >= 0) & (x <= 1), x):
        raise ValueError(
            f"an attack takes images in 0..1; these go from {x.min():.3g} to {x.max():.3g}"
        )
    z = jax.eval_shape(logits, x)
    if z.ndim != 2 or len(z) != len(x):
        raise ValueError(
            f"a classifier returns logits [B, K]; for {len(x)} images this one returns "
            f"{list(z.shape)}"
        )
    if y is None:
        return
    if y.shape != (len(x),):
        raise ValueError(f"{len(x)} images have a label each, not labels {list(y.shape)}")
    if not _holds(lambda y: (y >= 0) & (y < z.shape[-1]), y):
        raise ValueError(
            f"labels are classes 0 … {z.shape[-1] - 1}; these go from {y.min()} to {y.max()}"
        )


def _holds(condition: Callable[[Any], Any], x: Any) -> bool:
    """Whether it holds for all entries; yes for a tracer, whose values are not known."""
    if isinstance(x, Tracer):
        return True
    with jax.ensure_compile_time_eval():
        return bool(condition(x).all())


def _gradient(logits: Logits, x: Array, y: Array) -> Array:
    """Of each image's cross entropy in that image."""
    return jax.grad(lambda x: ce(logits(x), y).sum())(x)


def _repeat(step: Callable[[Array], Array], first: Array, steps: int) -> Array:
    """step(step(… first)), compiled as a loop or written out, whichever is fast."""
    short = jax.default_backend() == "cpu" and steps < UNROLLED
    if short and team.convolves(jax.make_jaxpr(step)(first).jaxpr):
        for _ in range(steps):
            first = step(first)
        return first
    return lax.fori_loop(0, steps, lambda _, carry: step(carry), first)


def _wide(each: Array, x: Array) -> Array:
    """One entry for each image, with x's axes."""
    return each.reshape(len(x), *[1] * (x.ndim - 1))
