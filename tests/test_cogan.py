"""CoGAN's losses and first weights against the authors' code."""

from __future__ import annotations

import math

import cogan
import cogan_adapt
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from ganjax.nets.cogan import Discriminator, widths

SHAPE = (28, 28, 1)


def losses_at_logit_0(game):
    """The losses of a game whose D gives every image the logit 0."""
    initial = {name: player.init(random.key(0)) for name, player in game.players.items()}
    params = {name: pair[0] for name, pair in initial.items()}
    D = params["D"]
    head = D.get("net", D)  # under a condition the net is wrapped
    head["score"] = jax.tree.map(jnp.zeros_like, head["score"])
    x, y = random.uniform(random.key(1), (2, 4, *SHAPE))
    batch = {"x": x, "y": y, "label": jnp.arange(4)}
    players = {name: player.bind(params[name], name=name) for name, player in game.players.items()}
    return jax.jit(game.losses)(batch, random.key(2), **players)


@pytest.mark.parametrize("conditional", [False, True])
def test_each_cross_entropy_of_cogan_is_one_mean_over_both_domains(conditional):
    o = cogan.Options(width=2, width_d=5, batch=4, conditional=conditional)
    losses = losses_at_logit_0(cogan.game(SHAPE, o))
    assert float(losses["D"]) == pytest.approx(2 * math.log(2), rel=1e-5)
    assert float(losses["G"]) == pytest.approx(math.log(2), rel=1e-5)


@pytest.mark.parametrize("alone", [False, True])
def test_adaptation_weighs_classes_ten_and_the_tie_a_hundredth_of_the_game(alone):
    o = cogan_adapt.Options(width=2, width_d=5, batch=4, alone=alone)
    losses = losses_at_logit_0(cogan_adapt.game(10, o))
    if alone:
        assert float(losses["D"]) == pytest.approx(10 * float(losses["named"]))
        return
    assert float(losses["tie"]) > 0
    game = float(losses["D"] - 10 * losses["named"] - 0.01 * losses["tie"])
    assert game == pytest.approx(2 * math.log(2), abs=1e-4)
    assert float(losses["G"]) == pytest.approx(math.log(2), rel=1e-5)


@pytest.mark.parametrize(("n", "bound"), [(50, 0.0369274), (15, 0.0674200)])
def test_layer_2_of_d_begins_with_the_fans_of_the_authors_convolution(n, bound):
    """Xavier of gain sqrt 2 with fans 16 c and 16 n: at n = 50 an SD of .0213, not .0555."""
    net = Discriminator(widths=widths(n))
    params = net.init(random.key(0), jnp.zeros((1, *SHAPE)))["params"]
    kernel = np.asarray(params["layer2"]["Dense_0"]["kernel"])
    assert kernel.shape == (16 * widths(n)[1], widths(n)[2])
    assert kernel.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert 0.996 * bound < np.abs(kernel).max() <= bound * (1 + 1e-6)
