"""PyTorch's side of music.py: C-RNN-GAN's nets, its losses, its steps."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import torch
from torch import nn

from ganjax import play

Leaf = dict[str, Any]
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # PyTorch's


class Writer(nn.Module):
    """G: z [B, 1 + T, k] -> [B, T, k]."""

    def __init__(self, k: int, units: int, rate: float) -> None:
        super().__init__()
        self.dense, self.tone = nn.Linear(2 * k, units), nn.Linear(units, k)
        self.cells = nn.ModuleList([nn.LSTMCell(units, units) for _ in range(2)])
        self.drop = nn.Dropout(rate)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        zeros = z.new_zeros(len(z), self.dense.out_features)
        states, last, tones = [(zeros, zeros)] * 2, z[:, 0], []
        for u in z[:, 1:].unbind(1):
            x = torch.relu(self.dense(torch.cat([u, last], -1)))
            for i, cell in enumerate(self.cells):
                states[i] = cell(x, states[i])
                x = self.drop(states[i][0])
            last = self.tone(x)
            tones.append(last)
        return torch.stack(tones, 1)


class Listener(nn.Module):
    """D: tones [B, T, k] -> features [B, T, 2 units], logits [B, T]."""

    def __init__(self, k: int, units: int, rate: float) -> None:
        super().__init__()
        self.ways = nn.ModuleList(
            [nn.LSTM(k, units, 2, batch_first=True, dropout=rate) for _ in range(2)]
        )
        self.score, self.drop = nn.Linear(2 * units, 1), nn.Dropout(rate)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.drop(x)
        there, back = self.ways[0](x)[0], self.ways[1](x.flip(1))[0].flip(1)
        R = torch.cat([self.drop(there), self.drop(back)], -1)
        return R, self.score(R)[..., 0]


def losses(G: Writer, D: Listener, x: torch.Tensor, z: torch.Tensor) -> dict[str, torch.Tensor]:
    """As in experiments/c_rnn_gan.py."""
    R, score = D(torch.cat([x, G(z)]))
    (real, made), p = R.chunk(2), torch.sigmoid(score).mean(1)
    d = -torch.log(p[: len(x)]).mean() - torch.log(1 - p[len(x) :]).mean()
    return {"D": d, "G": ((real - made) ** 2).sum((1, 2)).mean()}


def given(G: Writer, D: Listener, params: dict[str, Leaf]) -> None:
    """Gives PyTorch our parameters; of its two biases a layer the second is 0."""
    step = params["G"]["step"]
    _dense(G.dense, step["Dense_0"])
    _dense(G.tone, step["tone"])
    _dense(D.score, params["D"]["score"])
    for i, cell in enumerate(G.cells):
        ours = step[f"OptimizedLSTMCell_{i}"]
        w, R = (np.concatenate([ours[a + b]["kernel"] for b in "ifgo"], 1) for a in "ih")
        bias = np.concatenate([ours["h" + b]["bias"] for b in "ifgo"])
        _lstm([getattr(cell, name) for name in NAMES], w, R, bias)
    for i, way in enumerate(D.ways):
        for layer in range(2):
            ours = params["D"][f"LSTM_{2 * i + layer}"]
            w, R, bias = (
                _gates(np.asarray(a))
                for a in (ours["input"]["kernel"], ours["state"], ours["input"]["bias"])
            )
            _lstm([getattr(way, f"{name}_l{layer}") for name in NAMES], w, R, bias)


def _gates(a: np.ndarray) -> np.ndarray:
    """From input, forget, output, candidate to PyTorch's order, on the last axis."""
    i, f, o, g = np.split(a, 4, -1)
    return np.concatenate([i, f, g, o], -1)


def _dense(layer: nn.Linear, ours: Leaf) -> None:
    layer.weight.data = torch.tensor(np.asarray(ours["kernel"]).T.copy())
    layer.bias.data = torch.tensor(np.asarray(ours["bias"]))


def _lstm(theirs: Sequence[nn.Parameter], w: np.ndarray, R: np.ndarray, b: np.ndarray) -> None:
    for parameter, array in zip(theirs, (w.T, R.T, b, np.zeros_like(b))):
        parameter.data = torch.tensor(np.ascontiguousarray(array))


def peer(o: Any, k: int, params: dict[str, Leaf], batch: np.ndarray) -> Callable[[int], None]:
    """PyTorch's steps: D's turn, then G's, with noise of their own."""
    G, D = Writer(k, o.units, o.dropout), Listener(k, o.units, o.dropout)
    given(G, D, params)
    x = torch.tensor(batch)
    movers = {
        "D": torch.optim.SGD(D.parameters(), o.lr / 2, weight_decay=o.l2),
        "G": torch.optim.SGD(G.parameters(), o.lr, weight_decay=o.l2),
    }

    def steps(n: int) -> None:
        for _ in range(n):
            for name, player in (("D", D), ("G", G)):
                z = torch.rand(len(x), 1 + o.cells, k)
                parameters = list(player.parameters())
                grads = torch.autograd.grad(losses(G, D, x, z)[name], parameters)
                for parameter, grad in zip(parameters, grads):
                    parameter.grad = grad
                nn.utils.clip_grad_norm_(parameters, 5.0)
                movers[name].step()

    return steps


def agreement(game: play.Game, o: Any, k: int, state: play.State, batch: Any) -> dict[str, float]:
    """How far the losses are apart, relatively. Raises ValueError where it is more than 1e-4."""
    key = jax.random.key(1)
    ours = game.apply(state.params, batch, key, aux=state.aux)
    z = game.players["G"].bind(state.params["G"], name="G").noise(key, len(batch["x"]))
    G, D = Writer(k, o.units, 0.0), Listener(k, o.units, 0.0)
    given(G, D, state.params)
    theirs = losses(G, D, *(torch.tensor(np.asarray(a)) for a in (batch["x"], z)))
    found = {n: abs(float(v.detach()) / float(ours[n]) - 1) for n, v in theirs.items()}
    if max(found.values()) > 1e-4:
        raise ValueError(f"both sides play another game: {found}")
    return found
