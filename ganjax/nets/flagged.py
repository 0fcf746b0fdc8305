"""One player in place of a team of two: it is told the domain, or which member it stands for."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ganjax.game import Bound
from ganjax.nets.cgan import joined


class Flagged(nn.Module):
    """A net that sees, beside its input [B, ...], the domain, one-hot [B, 2]."""

    net: nn.Module

    def __call__(self, x: Array, domain: Array) -> Array:
        return self.net(joined(x, domain))


def both(P: Bound, x: Array, y: Array) -> Array:
    """What a team of two makes of x and y, [B, ...] each, an input for each member: [B, 2, *out].

    A single player, whose net is Flagged, sees them in one batch: in batches of their own its
    normalisation would subtract the flag again.
    """
    if P.player.n:
        return P.each(jnp.stack([x, y], 1))
    domain = jnp.repeat(jnp.eye(2), len(x), 0)  # [2B, 2]
    return jnp.stack(jnp.split(P(jnp.concatenate([x, y]), domain), 2), 1)
