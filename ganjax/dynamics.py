"""Dynamics: what the movers of a turn make of the field of their game, ξ(θ) = (∂ℓ_i/∂θ_i)_i.

A dynamics gives each mover's optimiser a gradient in place of its own, so it is composed with Optax
where the optimiser is SGD to the letter of its paper, and with others as each function says. J is
the field's Jacobian ∂ξ/∂θ, and H_o is J without the players' own blocks. A team is one player. J is
never formed: products with it take reverse mode alone, as convolutions have no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.sparse.linalg import cg

Tree = Any
Number = float | Array  # a tracer, where a sweep compiles one program for several
Params = dict[str, Tree]  # parameters, or gradients, by player
Out = dict[str, Any]  # what `losses` returned

FLOOR = 1e-12  # of an inner gradient, as the root of Adam's second moment has no slope at 0


class Moves(NamedTuple):
    """A turn as a dynamics sees it."""

    losses: Callable[[Params], Out]  # of the parameters of all players
    movers: tuple[str, ...]
    params: Params  # of all players
    opt: Params  # states of the optimisers
    past: Params  # what the dynamics kept of each player's last turn; 0 at first
    players: Mapping[str, Any]

    def field(self, params: Params, of: Sequence[str] = ()) -> tuple[Params, Out]:
        """ξ of the movers, or `of` these players, and what `losses` returned."""
        return field(self.losses, params, of or self.movers)

    def ahead(self, grads: Params, c: Number) -> Params:
        """All parameters after c steps of the movers' optimisers, whose states stay."""
        made = {n: self.update(n, grads[n], self.opt[n], p)[0] for n, p in self.own.items()}
        return {**self.params, **_plus(self.own, c, _plus(made, -1, self.own))}

    def update(self, name: str, grads: Tree, opt: Tree, params: Tree) -> tuple[Tree, Tree]:
        """A player's parameters and optimiser's state after a step."""
        return self.players[name].update(grads, opt, params)

    @property
    def own(self) -> Params:
        """The movers' parameters."""
        return {name: self.params[name] for name in self.movers}


class Adjusted(NamedTuple):
    """What a dynamics makes of a turn: what each mover's optimiser is given, and what is kept."""

    grads: Params
    out: Out
    past: Params | None = None


@dataclass(frozen=True, eq=False)
class Dynamics:
    """How players move.

    evaluations: the field's evaluations in a turn; a product with its Jacobian counts as one
    together: it needs two or more players that move at the same time
    keeps: the last gradients of each mover are kept in the state
    through: players through whose steps the others look
    """

    name: str
    adjust: Callable[[Moves], Adjusted]
    evaluations: int
    together: bool = False
    keeps: bool = False
    through: tuple[str, ...] = ()

    def first(self, params: Params) -> Params:
        """What the state keeps for it before the first turn, from the movers' parameters."""
        return jax.tree.map(jnp.zeros_like, params) if self.keeps else {}


def field(
    losses: Callable[[Params], Out], params: Params, movers: Sequence[str]
) -> tuple[Params, Out]:
    """The field by mover, and what `losses` returned: it is differentiated once for each mover, and
    the compiler merges what they have in common.
    """

    def loss(own: Tree, name: str) -> tuple[Array, Out]:
        out = losses({**params, name: own})
        return out[name], out

    grads = {}
    outs = []
    for name in movers:
        grads[name], out = jax.grad(loss, has_aux=True)(params[name], name)
        outs.append(out)
    return grads, outs[0]


simultaneous = Dynamics("simultaneous", lambda m: Adjusted(*m.field(m.params)), 1)


def extragradient(c: Number = 1.0) -> Dynamics:
    """The field at a point ahead, θ' = θ - cηξ(θ). Korpelevich 1976; Gidel et al. 2019, "A
    Variational Inequality Perspective on GANs", section 3.1 (recalled, not read).

    The look-ahead is a step of the movers' own optimisers, from their states, which then keep the
    step at θ' alone; the paper's ExtraAdam keeps both.
    """

    def adjust(m: Moves) -> Adjusted:
        grads, out = m.field(m.params)
        return Adjusted(m.field(m.ahead(grads, c))[0], out)

    return Dynamics("extragradient", adjust, 2)


def past(c: Number = 1.0) -> Dynamics:
    """Extrapolation from the past: the point ahead is found by the last turn's gradients. Popov
    1980; Gidel et al. 2019, section 3.2 (recalled, not read). The losses are those at that point.
    """

    def adjust(m: Moves) -> Adjusted:
        grads, out = m.field(m.ahead(m.past, c))
        return Adjusted(grads, out, grads)

    return Dynamics("past", adjust, 1, keeps=True)


def optimistic(c: Number = 1.0) -> Dynamics:
    """ξ_t + c (ξ_t - ξ_{t-1}). Daskalakis et al. 2018, "Training GANs with Optimism", section 2
    (recalled, not read).

    The optimiser is given this gradient. The paper's Optimistic Adam is optimistic in Adam's steps:
    for it give the players `optax.optimistic_adam_v2`, and no dynamics.
    """

    def adjust(m: Moves) -> Adjusted:
        grads, out = m.field(m.params)
        return Adjusted(_plus(grads, c, _plus(grads, -1, m.past)), out, grads)

    return Dynamics("optimistic", adjust, 1, keeps=True)


def consensus(gamma: Number = 1.0) -> Dynamics:
    """ξ + γJᵀξ, so each player also makes ½‖ξ‖² small. Mescheder et al. 2017, "The Numerics of
    GANs", algorithm 1 (recalled, not read). Any optimiser, as in the paper.
    """

    def adjust(m: Moves) -> Adjusted:
        grads, _, transposed, out = _products(lambda p: m.field({**m.params, **p}), m.own)
        return Adjusted(_plus(grads, gamma, transposed(grads)), out)

    return Dynamics("consensus", adjust, 2, together=True)


def symplectic(lam: Number = 1.0, align: bool = True) -> Dynamics:
    """ξ + λAᵀξ, A = (J - Jᵀ)/2: symplectic gradient adjustment. Balduzzi et al. 2018, "The
    Mechanics of n-Player Differentiable Games", algorithm 1 (recalled, not read).

    align: the sign of λ is that of ⟨ξ, ∇H⟩⟨Aᵀξ, ∇H⟩/d + 1/10, ∇H = Jᵀξ, and d the number of arrays
    of parameters, as in the authors' code. Any optimiser; theirs is RMSProp.
    """

    def adjust(m: Moves) -> Adjusted:
        grads, product, transposed, out = _products(lambda p: m.field({**m.params, **p}), m.own)
        slope = transposed(grads)  # ∇H
        turned = jax.tree.map(lambda a, b: (a - b) / 2, slope, product(grads))
        cosines = _dot(grads, slope) * _dot(turned, slope) / len(jax.tree.leaves(grads))
        sign = jnp.sign(cosines + 0.1) if align else 1.0
        return Adjusted(_plus(grads, lam * sign, turned), out)

    return Dynamics("symplectic", adjust, 3, together=True)


def competitive(rate: Number, iterations: int = 5) -> Dynamics:
    """(I + ηH_o)⁻¹ξ, the equilibrium of the game made bilinear at θ. Schäfer and Anandkumar 2019,
    "Competitive Gradient Descent", equation 4; of more players Ma et al. 2021, "Polymatrix
    Competitive Gradient Descent" (recalled, not read).

    rate: η, which is also SGD's rate in the papers; under another optimiser it stands for itself.
    iterations: at most, of conjugate gradients on the normal equations, which are the papers' own
    in a zero-sum game of two.
    """

    def adjust(m: Moves) -> Adjusted:
        def apart(own: Params) -> tuple[Params, None]:
            """Each mover's gradient as a function of the others' parameters."""
            at = {n: {**m.params, **own, n: m.params[n]} for n in m.movers}
            return {n: m.field(at[n], (n,))[0][n] for n in m.movers}, None

        grads, out = m.field(m.params)
        _, product, transposed, _ = _products(apart, m.own)

        def normal(v: Params) -> Params:
            w = _plus(v, rate, product(v))
            return _plus(w, rate, transposed(w))

        right = _plus(grads, rate, transposed(grads))
        return Adjusted(cg(normal, right, grads, tol=1e-6, maxiter=iterations)[0], out)

    return Dynamics("competitive", adjust, 4 + 2 * iterations, together=True)


def lola(rate: Number) -> Dynamics:
    """∇_i(ℓ_i - α Σ_j ⟨∇_jℓ_i, ξ_j⟩): each player's loss to first order after the others' steps, j
    ≠ i. Foerster et al. 2018, "Learning with Opponent-Learning Awareness", section 4.1 (recalled,
    not read).

    rate: α, the others' rate of SGD, whatever their optimisers. It looks at losses beside the
    field.
    """

    def adjust(m: Moves) -> Adjusted:
        grads, out = m.field(m.params)

        def change(own: Tree, name: str) -> Array:
            at = {**m.params, name: own}
            others = {n: at[n] for n in m.movers if n != name}
            slopes = jax.grad(lambda p: m.losses({**at, **p})[name])(others)
            return _dot(slopes, m.field(at, tuple(others))[0])

        shaping = {n: jax.grad(change)(p, n) for n, p in m.own.items()}
        return Adjusted(_plus(grads, -rate, shaping), out)

    return Dynamics("lola", adjust, 3, together=True)


def unrolled(k: int = 5, through: tuple[str, ...] = ("D",)) -> Dynamics:
    """The others' losses after k more steps of D, through which they are differentiated; D has its
    own gradient. Metz et al. 2017, "Unrolled Generative Adversarial Networks", equations 4 to 8
    (recalled, not read).

    The steps are those of D's own optimiser, from its state, so it must have a derivative: Adam,
    RMSProp and SGD do. Batch and noise are the turn's own. D need not move in the same turn.
    """

    def adjust(m: Moves) -> Adjusted:
        grads, out = m.field(m.params)

        def looked(own: Tree, name: str) -> Array:
            def step(carry: Any, _: None) -> tuple[Any, None]:
                at = {**m.params, name: own, **carry[0]}
                grads = jax.tree.map(
                    lambda g: jnp.where(jnp.abs(g) < FLOOR, FLOOR, g), m.field(at, through)[0]
                )
                made = {n: m.update(n, grads[n], carry[1][n], at[n]) for n in through}
                return tuple({n: pair[i] for n, pair in made.items()} for i in (0, 1)), None

            first = ({n: m.params[n] for n in through}, {n: m.opt[n] for n in through})
            (later, _), _ = jax.lax.scan(step, first, None, length=k)
            return m.losses({**m.params, name: own, **later})[name]

        seen = {n: jax.grad(looked)(p, n) for n, p in m.own.items() if n not in through}
        return Adjusted({**grads, **seen}, out)

    return Dynamics("unrolled", adjust, 1 + 2 * k, through=through)


def finite(tree: Tree) -> Array:
    """Whether every number of a tree is finite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def _products(
    field_of: Callable[[Params], tuple[Params, Any]], own: Params
) -> tuple[Params, Callable[[Params], Params], Callable[[Params], Params], Any]:
    """The field, v -> Jv, u -> Jᵀu, and what else the function returned."""
    grads, pull, out = jax.vjp(field_of, own, has_aux=True)
    # u -> Jᵀu is linear, so its own transpose is J; the compiler drops the unused first value
    _, push = jax.vjp(lambda u: pull(u)[0], grads)
    return grads, lambda v: push(v)[0], lambda u: pull(u)[0], out


def _plus(a: Tree, c: Number, b: Tree) -> Tree:
    return jax.tree.map(lambda x, y: x + c * y, a, b)


def _dot(a: Tree, b: Tree) -> Array:
    return jax.tree.reduce(jnp.add, jax.tree.map(jnp.vdot, a, b))
