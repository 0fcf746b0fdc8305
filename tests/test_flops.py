"""Operations: what nets need by hand count, and that a compiled step does no more."""

import dataclasses
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import cases
import flops

from ganjax import play
from ganjax.nets import MLP, conv, dcgan
from ganjax.nets.layers import Conv, ConvTranspose, SpectralNorm


def compiled(function, *shapes):
    """Operations of the compiled function of arrays of these shapes."""
    return flops.computed(
        jax.jit(function).lower(*(jnp.zeros(shape) for shape in shapes)).compile().as_text()
    )


def test_a_net_needs_two_operations_for_each_weight_at_each_place():
    assert flops.needed(MLP((7, 11), (2, 3)), (5,)) == [2 * 5 * 7, 2 * 7 * 11, 2 * 11 * 6]
    assert flops.needed(Conv(6, 5, 2), (12, 8, 3)) == [2 * (6 * 4) * (5 * 5 * 3 * 6)]
    assert flops.needed(Conv(6, 3, 1, "VALID"), (9, 9, 9, 3)) == [2 * 7**3 * 3**3 * 3 * 6]
    assert flops.needed(ConvTranspose(6, 4, 2), (6, 4, 3)) == [2 * (6 * 4) * (4 * 4 * 3 * 6)]
    assert flops.needed(SpectralNorm(nn.Dense(3)), (4,)) == [2 * 4 * 3]


@pytest.mark.parametrize(
    ("kernel", "stride", "pad"), [(4, 2, (1, 1)), (5, 2, (2, 1)), (3, 1, (0, 0)), (3, 2, (1, 0))]
)
def test_a_program_does_what_its_convolutions_need(kernel, stride, pad):
    rest = (stride, (pad, pad), "conv")
    x, w = (4, 12, 12, 3), (kernel, kernel, 3, 5)
    y = jax.eval_shape(lambda x, w: conv.convolve(x, w, *rest), jnp.zeros(x), jnp.zeros(w)).shape
    need, wide = (
        2 * 4 * side**2 * kernel**2 * 3 * 5 for side in (y[1], 12 // stride)
    )  # without padding the transpose has more places
    assert compiled(lambda x, w: conv.convolve(x, w, *rest), x, w) == need
    assert (
        compiled(lambda y, w: conv.conv_transpose(y, w, stride, (pad, pad), x[1:3], "conv"), y, w)
        == wide
    )
    assert (
        compiled(lambda x, y: conv.weight_gradient(x, y, stride, (pad, pad), w[:2], "conv"), x, y)
        == need
    )


def test_a_program_does_what_its_products_need():
    assert compiled(jnp.matmul, (4, 5), (5, 6)) == 2 * 4 * 5 * 6
    assert (
        compiled(lambda x, y: jnp.einsum("bik,bkj->bij", x, y), (3, 4, 5), (3, 5, 6))
        == 2 * 3 * 4 * 5 * 6
    )
    assert (
        compiled(lambda x: jax.lax.fori_loop(0, 9, lambda _, x: jnp.tanh(x @ x), x), (8, 8))
        == 2 * 8**3
    )  # a body counts once


W = "window={size=4x4 stride=2x2 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f"
GEMM = """{"gemm_backend_config":{"alpha_real":1,"dot_dimension_numbers":
{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"],"lhs_batch_dimensions":[]}}}
""".replace("\n", "")
GPU = f"""
  %x = f32[4,8,8,3]{{3,2,1,0}} parameter(0)
  %w = f32[8,4,4,3]{{3,2,1,0}} parameter(1)
  %y = (f32[4,4,4,8]{{3,2,1,0}}, u8[0]{{0}}) custom-call(%x, %w), {W}, TARGET="$convForward"
  %g = f32[4,4,4,8]{{3,2,1,0}} get-tuple-element(%y), index=0
  %dx = (f32[4,8,8,3]{{3,2,1,0}}, u8[9]{{0}}) custom-call(%g, %w), {W}, TARGET="$convBackInput"
  %dw = (f32[8,4,4,3]{{3,2,1,0}}, u8[9]{{0}}) custom-call(%x, %g), {W}, TARGET="$convBackFilter"
  %a = bf16[7,5]{{1,0}} parameter(2)
  %b = bf16[5,6]{{1,0}} parameter(3)
  %c = (bf16[7,6]{{1,0}}, s8[64]{{0}}) custom-call(%a, %b), TARGET="$gemm", backend_config={GEMM}
"""


def test_library_calls_on_a_gpu_count_too():
    text = GPU.replace("$convBack", "$convBackward").replace(
        'TARGET="$conv', 'custom_call_target="__cudnn$conv'
    )
    text = text.replace('TARGET="$gemm"', 'custom_call_target="__cublas$gemm"')
    assert flops.computed(text) == 3 * (2 * 4 * 16 * 16 * 3 * 8) + 2 * 7 * 5 * 6


def test_a_dcgan_step_is_eleven_passes():
    shape = (64, 64, 3)
    g = flops.needed(dcgan.Generator(shape, 128, kernel=4), (100,))
    d = flops.needed(dcgan.Discriminator(128, kernel=4), shape)
    wide, thin = 2 * 8**2 * 16 * 512 * 256, 2 * 32**2 * 16 * 128 * 3
    assert g == [2 * 100 * 16 * 1024, wide, wide, wide, thin]
    assert d == [thin, wide, wide, wide, 2 * 16 * 1024]
    assert cases.adversarial(g, d) == pytest.approx(11 * sum(g), rel=0.03)


def share(case):
    """Operations that the compiled step does, over those that it needs."""
    state = play.template(case.game, jax.random.key(0), case.data)
    step = jax.jit(lambda state, data: play.step(case.game, state, data))
    return flops.computed(step.lower(state, case.data).compile().as_text()) / case.needed


TINY = {"side": 16, "channels": 3, "width": 4, "batch": 4, "z": 6}


def test_a_step_does_what_it_needs_each_mover_by_itself_and_fakes_made_once():
    assert share(cases.images(**TINY)) == pytest.approx(1, rel=0.03)
    assert share(cases.images(**TINY, n=2)) == pytest.approx(1, rel=0.03)


def test_fresh_noise_costs_another_pass_of_the_generator():
    case = cases.images(**TINY)
    more = TINY["batch"] * sum(flops.needed(case.game.players["G"].net, (TINY["z"],)))
    game = dataclasses.replace(case.game, fresh="turn")
    assert share(case._replace(game=game, needed=case.needed + more)) == pytest.approx(1, rel=0.03)


def test_four_movers_at_once_share_their_passes():
    # At fewer pixels what hangs over the reflected edges, counted in the gradients alone, is more
    # than 3 %.
    assert share(cases.translators(256, blocks=1, batch=1, width=4)) == pytest.approx(1, rel=0.03)
