"""GAN, CGAN, cDCGAN and the payoffs: first weights, rates and turns of the authors, and what the
tables say of them.
"""

from __future__ import annotations

import math

import cdcgan
import cgan
import dcgan
import gan
import jax.numpy as jnp
import numpy as np
import payoffs
import pytest
from jax import random
from runs import build

from ganjax.experiment import options_of
from ganjax.nets import pixel_logits
from ganjax.optim import heavy_ball


def test_the_output_bias_is_the_logit_of_the_mean_image_clipped_at_1e_7():
    x = np.array([[0, 255, 0, 51], [0, 255, 255, 51]], np.uint8)
    bias = pixel_logits(x)(random.key(0), (4,))
    np.testing.assert_allclose(bias, [-16.118096, 16.118096, 0, -1.386294], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["G", "D"])
def test_the_toy_has_the_first_weights_of_gan_toy(name):
    """He-uniform hidden layers, a Glorot-uniform last one, biases 0."""
    player = build(payoffs).played.players[name]
    params = player.init(random.key(0))[0]
    outputs = 2 if name == "G" else 1
    bounds = {
        "Dense_0": math.sqrt(6 / 2),
        "Dense_1": math.sqrt(6 / 512),
        "Dense_2": math.sqrt(6 / 512),
        "out": math.sqrt(6 / (512 + outputs)),
    }
    assert set(params) == set(bounds)
    for layer, bound in bounds.items():
        kernel = np.asarray(params[layer]["kernel"])
        assert np.abs(kernel).max() <= bound * (1 + 1e-6)
        rel = 0.02 if layer in ("Dense_1", "Dense_2") else 0.06
        assert kernel.std() == pytest.approx(bound / math.sqrt(3), rel=rel)
        assert not np.asarray(params[layer]["bias"]).any()


@pytest.mark.parametrize(
    ("payoff", "data", "second"),
    [
        ("wasserstein", "ring", -0.484322),
        ("hinge", "ring", -0.484322),
        ("relativistic", "ring", 0.0),
        ("wasserstein", "digits", 0.0),
    ],
)
def test_adam_has_the_authors_momentum(payoff, data, second):
    """At rate 1 the gradients 1, 0 give the updates -1 and, with (.5, .9), -.484322."""
    game = build(payoffs, data=data, payoff=payoff, width=4, lr=1.0).played
    for player in game.players.values():
        state = player.tx.init(jnp.zeros(()))
        first, state = player.tx.update(jnp.ones(()), state)
        then, _ = player.tx.update(jnp.zeros(()), state)
        assert [float(first), float(then)] == pytest.approx([-1, second], abs=1e-5)


@pytest.mark.parametrize(("payoff", "turns"), [("wasserstein", 5), ("relativistic", 1)])
def test_a_wasserstein_critic_has_five_turns_with_samples_of_their_own(payoff, turns):
    game = build(payoffs, payoff=payoff, width=4).played
    assert [turn.movers for turn in game.schedule] == [("D",)] * turns + [("G",)]
    assert game.fresh == "turn"
    assert len(build(payoffs, payoff=payoff, width=4, k=2).played.schedule) == 3


def test_the_paper_s_row_of_cgan_is_the_game_that_the_docstring_describes():
    table = cgan.TABLES["mnist"]
    assert set(table.paper) == {"CGAN"}
    assert table.rows["CGAN"] == {"data": "mnist"}
    default = {entry.name: entry.default for entry in options_of(cgan.Options)}
    assert default["noisy"] is True


def test_the_tables_name_the_share_of_the_authors_training_that_they_play():
    table = cdcgan.TABLES["mnist"]
    share = table.rows["cDCGAN"]["steps"] / 39_000  # 200 epochs of 390 minibatches, half for each
    assert f"{100 * share:.0f} % of the authors'" in table.note
    assert cdcgan.Options().steps / 39_000 == pytest.approx(0.5, abs=0.02)
    assert "recalled" in table.note
    epochs = gan.TABLES["mnist"].rows["GAN"]["steps"] * 100 // 50_000
    assert f"{epochs} epochs" in gan.TABLES["mnist"].note


def test_after_120_epochs_the_momentum_is_on_its_way_to_that_of_epoch_250():
    """.5 until the end of epoch 1, .7 from epoch 250 on."""
    tx = heavy_ball(0.1, epoch=1)
    state = tx.init(jnp.zeros(()))
    seen = []
    for _ in range(260):
        _, state = tx.update(jnp.ones(()), state)
        seen.append(float(state[1].hyperparams["decay"]))
    assert [seen[i] for i in (0, 1, 120, 250, 259)] == pytest.approx(
        [0.5, 0.5, 0.5 + 0.2 * 119 / 249, 0.7, 0.7], abs=1e-6
    )


def test_every_turn_of_dcgan_has_a_batch_and_noise_of_its_own():
    for file in (dcgan, cdcgan):
        assert build(file, width=4, batch=4).played.fresh == "turn"
