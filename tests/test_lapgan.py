"""What LAPGAN's experiment measures."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import lapgan
import numpy as np
import pytest
from jax import random


@pytest.mark.parametrize("classes", [0, 3])
def test_each_level_but_the_coarsest_is_measured_on_validation_images_where_there_are_any(classes):
    o = lapgan.Options(width=2, levels=2, batch=4, conditional=bool(classes))
    game = lapgan.game((16, 16, 1), classes, 8, o)
    players = {
        name: player.bind(player.init(random.key(0))[0], name=name)
        for name, player in game.players.items()
    }
    x = random.uniform(random.key(1), (3, 16, 16, 1), minval=-1.0)
    valid = {"x": x, "label": jnp.arange(3)}
    data = {"x": jnp.zeros((5, 16, 16, 1), jnp.uint8)}
    found = jax.jit(lambda: lapgan.measure(data, random.key(2), valid=valid, **players))()
    assert set(found) == {"nearest", "nearest_0"}
    assert all(np.isfinite(value) and value > 0 for value in found.values())
    assert set(lapgan.measure(data, random.key(2), valid={}, **players)) == {"nearest"}
