"""The games of cases.py in PyTorch: the same nets with the same parameters, the same losses, fakes
made once.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.linen as flax_nn
import jax
import jax.numpy as jnp
import numpy as np
import torch
from cases import Case
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, l1_loss, softplus

from ganjax.data import Mixture
from ganjax.game import Player
from ganjax.nets import MLP, cyclegan, dcgan, gman
from ganjax.nets.mlp import TrunkAndHead

Nets = Mapping[str, nn.Module]
Batch = dict[str, Tensor]


class Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """The function of x."""
        return self.function(x)


class Residual(nn.Sequential):
    """x plus the layers of x."""

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        return x + super().forward(x)


class Team(nn.Module):
    """Members that see the same, [B, …] -> [B, n, …], after a trunk that they share."""

    def __init__(self, trunk: nn.Module, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.trunk, self.members = trunk, nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Each member's output."""
        x = self.trunk(x)
        return torch.stack([member(x) for member in self.members], 1)

    def each(self, x: Tensor) -> Tensor:
        """Member i sees input i, [B, n, …] -> [B, n]."""
        return torch.stack([member(x[:, i]) for i, member in enumerate(self.members)], 1)


def norm(width: int, axes: int = 2, eps: float = 1e-5) -> nn.Module:
    """Batch norm by the batch's own statistics, of maps or of solids."""
    return getattr(nn, f"BatchNorm{axes}d")(width, eps, track_running_stats=False)


def peer_net(player: Player) -> nn.Module:
    """The net of a player, or of a team whose members share what the player's do."""
    sees = player.inputs[0]
    if player.n is None:
        return twin(player.net, sees)
    if isinstance(player.net, TrunkAndHead):
        trunk, *heads = (list(_trunk_and_head(player.net, sees)) for _ in range(player.n + 1))
        return Team(nn.Sequential(*trunk[:-1]), (head[-1] for head in heads))
    assert isinstance(player.net, gman.Discriminator)
    rates = np.asarray(dict(player.per)["rate"])
    members = (nn.Sequential(*_critic(player.net, sees, rate)) for rate in rates.tolist())
    return Team(nn.Identity(), members)


def twin(net: flax_nn.Module, sees: tuple[int, ...]) -> nn.Sequential:
    """The same net in PyTorch, its layers in the order of calls; images are [B, C, H, W]. Raises
    ValueError for a net that has no twin.
    """
    if isinstance(net, MLP):
        return nn.Sequential(*_mlp(net, sees))
    if isinstance(net, dcgan.Generator):
        return nn.Sequential(*_generator(net, *sees))
    if isinstance(net, dcgan.Discriminator):
        return nn.Sequential(*_discriminator(net, *sees))
    if isinstance(net, gman.Generator):
        return nn.Sequential(*_tall_generator(net, *sees))
    if isinstance(net, cyclegan.ResNet):
        return nn.Sequential(*_resnet(net, sees[-1]))
    if isinstance(net, cyclegan.PatchGAN):
        return nn.Sequential(*_patchgan(net, sees[-1]))
    raise ValueError(f"{type(net).__name__} has no twin in PyTorch")


def _mlp(net: MLP, sees: tuple[int, ...]) -> Iterable[nn.Module]:
    widths = [*sees, *net.widths]
    slope = getattr(net.act, "keywords", {}).get("negative_slope", 0.0)
    for below, width in itertools.pairwise(widths):
        yield from (nn.Linear(below, width), nn.LeakyReLU(slope) if slope else nn.ReLU())
    yield nn.Linear(widths[-1], net.out[0] if net.out else 1)
    if not net.out:
        yield Apply(lambda x: x[:, 0])


def _trunk_and_head(net: TrunkAndHead, sees: tuple[int, ...]) -> Iterable[nn.Module]:
    for below, width in itertools.pairwise([*sees, *net.trunk]):
        yield from (nn.Linear(below, width), nn.ELU())
    yield nn.Linear(net.trunk[-1], net.out[0])


def _critic(net: gman.Discriminator, sees: tuple[int, ...], rate: float) -> Iterable[nn.Module]:
    side, _, below = sees
    for width in (net.width // 4, net.width // 2):
        yield from (nn.Conv2d(below, width, 3, 2, 1), nn.LeakyReLU(0.2), nn.Dropout(rate))
        below = width
    yield from (nn.Conv2d(below, net.width, 3, 1, 1), nn.LeakyReLU(0.2))
    yield Apply(lambda x: x.movedim(1, -1).reshape(len(x), -1))
    yield from (nn.Linear((side // 4) ** 2 * net.width, 1), Apply(lambda x: x[:, 0]))


def _tall_generator(net: gman.Generator, z: int) -> Iterable[nn.Module]:
    yield Apply(lambda x: x[:, :, None, None])
    w = net.width
    yield nn.ConvTranspose2d(z, w, 3, 4, bias=False)
    # a row and a column of 4 x 4 points, which TensorFlow's SAME leaves empty
    yield Apply(lambda x: nn.functional.pad(x, (1, 0, 1, 0)))
    yield from (norm(w, eps=1e-3), nn.ReLU())
    for below, width in ((w, w // 2), (w // 2, w // 4)):
        yield nn.ConvTranspose2d(below, width, 5, 2, 2, 1, bias=False)
        yield from (norm(width, eps=1e-3), nn.ReLU())
    yield from (nn.ConvTranspose2d(w // 4, net.channels, 5, 2, 2, 1), nn.Tanh())


def _generator(net: dcgan.Generator, z: int) -> Iterable[nn.Module]:
    n, axes = dcgan.halvings(net.out[:-1]), len(net.out) - 1
    up = partial(getattr(nn, f"ConvTranspose{axes}d"), bias=False)
    widths = [net.width << (n - 1 - i) for i in range(n)]
    yield nn.Linear(z, 4**axes * widths[0], bias=False)
    yield Apply(lambda x: x.view(-1, *[4] * axes, widths[0]).movedim(-1, 1))
    yield from (norm(widths[0], axes), nn.ReLU())
    for below, width in itertools.pairwise(widths):
        yield from (up(below, width, 4, 2, 1), norm(width, axes), nn.ReLU())
    yield from (up(widths[-1], net.out[-1], 4, 2, 1), nn.Tanh() if axes == 2 else nn.Sigmoid())


def _discriminator(net: dcgan.Discriminator, *sees: int) -> Iterable[nn.Module]:
    *space, channels = sees
    axes, n = len(space), dcgan.halvings(tuple(space))
    widths = [channels, *(net.width << i for i in range(n))]
    for i, (below, width) in enumerate(itertools.pairwise(widths)):
        yield getattr(nn, f"Conv{axes}d")(below, width, 4, 2, 1, bias=False)
        if i:
            yield norm(width, axes)
        yield nn.LeakyReLU(0.2)
    yield Apply(lambda x: x.movedim(1, -1).reshape(len(x), -1))
    yield nn.Linear(4**axes * widths[-1], 1, bias=False)
    yield Apply(lambda x: x[:, 0])


def _resnet(net: cyclegan.ResNet, channels: int) -> Iterable[nn.Module]:
    def same(below: int, width: int) -> list[nn.Module]:
        return [
            nn.ReflectionPad2d(1),
            nn.Conv2d(below, width, 3, bias=False),
            nn.InstanceNorm2d(width),
        ]

    w = net.width
    yield from (
        nn.ReflectionPad2d(3),
        nn.Conv2d(channels, w, 7, bias=False),
        nn.InstanceNorm2d(w),
        nn.ReLU(),
    )
    for below, width in ((w, 2 * w), (2 * w, 4 * w)):
        yield from (
            nn.Conv2d(below, width, 3, 2, 1, bias=False),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
        )
    for _ in range(net.blocks):
        yield Residual(*same(4 * w, 4 * w), nn.ReLU(), *same(4 * w, 4 * w))
    for below, width in ((4 * w, 2 * w), (2 * w, w)):
        yield from (
            nn.ConvTranspose2d(below, width, 3, 2, 1, 1, bias=False),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
        )
    yield from (nn.ReflectionPad2d(3), nn.Conv2d(w, net.channels, 7), nn.Tanh())


def _patchgan(net: cyclegan.PatchGAN, channels: int) -> Iterable[nn.Module]:
    widths = [net.width * min(1 << i, 8) for i in range(net.depth + 1)]
    yield from (nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2))
    for i, (below, width) in enumerate(itertools.pairwise(widths), 1):
        stride = 2 if i < net.depth else 1
        yield from (
            nn.Conv2d(below, width, 4, stride, 1, bias=False),
            nn.InstanceNorm2d(width),
            nn.LeakyReLU(0.2),
        )
    yield from (nn.Conv2d(widths[-1], 1, 4, 1, 1), Apply(lambda x: x[:, 0]))


def mirrored(net: flax_nn.Module) -> bool:
    """Whether the twin plays with mirrored images and kernels: SAME of an odd kernel and stride 2
    begins one place later than PyTorch's padding.
    """
    return isinstance(net, gman.Generator | gman.Discriminator)


def leaves(player: Player, tree: Any) -> list[np.ndarray]:
    """A tree like the player's parameters as arrays in PyTorch's layouts, in the order of
    `peer_net(player).parameters()`.
    """
    if player.n is None:
        return _leaves(player.net, player.inputs[0], tree)
    shared = {name: tree[name] for name in player.shared}
    found = _leaves(player.net, player.inputs[0], shared)
    own = {name: part for name, part in tree.items() if name not in shared}
    for i in range(player.n):
        member = jax.tree.map(operator.itemgetter(i), own)
        found += _leaves(player.net, player.inputs[0], member)
    return found


def _leaves(net: flax_nn.Module, sees: tuple[int, ...], tree: Any) -> list[np.ndarray]:
    order: list[tuple[str, ...]] = []

    def note(
        call: Callable[..., Any], args: Any, kwargs: Any, context: flax_nn.module.InterceptorContext
    ) -> Any:
        y = call(*args, **kwargs)
        own = context.module.variables.get("params", {})
        if context.method_name == "__call__" and not any(
            isinstance(value, Mapping) for value in own.values()
        ):
            order.extend(
                (*context.module.path, name) for name in ("kernel", "scale", "bias") if name in own
            )
        return y

    with flax_nn.intercept_methods(note):
        jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, *sees)))
    found = []
    for path in order:
        if path[0] not in tree:
            continue
        leaf = tree
        for name in path:
            leaf = leaf[name]
        array = np.asarray(leaf, np.float32)
        if mirrored(net) and array.ndim == 4:
            array = array[::-1, ::-1]
        elif mirrored(net) and array.ndim == 2:
            side = sees[0] // 4
            array = array.reshape(side, side, -1)[::-1, ::-1].reshape(array.shape)
        found.append(
            array.transpose(*range(array.ndim - 1, array.ndim - 3, -1), *range(array.ndim - 2))
            if array.ndim > 1
            else array
        )
    return found


def losses(nets: Nets, batch: Batch) -> dict[str, Tensor]:
    """What each player minimises, as in cases.py; the noise is in the batch."""
    x = batch["x"]
    if "F" not in nets:
        G, D = nets["G"], nets["D"]
        if isinstance(G, Team):
            named = _named(D, G(batch["z"]))
            return {"D": _told(D(x), named), "G": _real(named)}
        if isinstance(D, Team):
            part = (-1, len(D.members), *x.shape[1:])
            real, fake = D.each(x.reshape(part)), D.each(G(batch["z"]).reshape(part))
            d = (softplus(-real) + softplus(fake)).mean(0).sum()
            return {"D": d, "G": softplus(-fake).mean()}
        fake = D(G(batch["z"]))
        return {"D": (softplus(-D(x)) + softplus(fake)).mean(), "G": softplus(-fake).mean()}
    G, F, D_X, D_Y, y = nets["G"], nets["F"], nets["D_X"], nets["D_Y"], batch["y"]
    fake_y, fake_x = G(x), F(y)
    cycle = 10 * (l1_loss(F(fake_y), x) + l1_loss(G(fake_x), y))
    by_x, by_y = D_X(fake_x), D_Y(fake_y)
    return {
        "G": (by_y - 1).square().mean() + cycle + 5 * l1_loss(G(y), y),
        "F": (by_x - 1).square().mean() + cycle + 5 * l1_loss(F(x), x),
        "D_X": 0.5 * ((D_X(x) - 1).square() + by_x.square()).mean(),
        "D_Y": 0.5 * ((D_Y(y) - 1).square() + by_y.square()).mean(),
    }


def _named(D: nn.Module, fakes: Tensor) -> Tensor:
    return D(fakes.flatten(0, 1)).unflatten(0, fakes.shape[:2])  # [B, k, k + 1]


def _told(real: Tensor, named: Tensor) -> Tensor:
    B, k, _ = named.shape
    makers = torch.arange(k, device=named.device).expand(B, k)
    told = cross_entropy(named.flatten(0, 1), makers.flatten())
    return cross_entropy(real, torch.full((B,), k, device=real.device)) + k * told


def _real(named: Tensor) -> Tensor:
    B, k, _ = named.shape
    return k * cross_entropy(named.flatten(0, 1), torch.full((B * k,), k, device=named.device))


class Peer(NamedTuple):
    """A game in PyTorch: its nets and a function that plays a step."""

    nets: Nets
    step: Callable[[], None]


def peer(
    case: Case, params: Mapping[str, Any], device: str, precision: str, compiled: bool = False
) -> Peer:
    """The case with these parameters; Adam is fused, convolutions run channels last, bfloat16 is
    autocast.
    """
    raw: dict[str, nn.Module] = {}
    # Channels last, PyTorch 2.13 gives a batch of one other gradients than a batch of the same
    # example twice.
    solid = len(case.game.players["D"].inputs[0]) == 4 if "D" in case.game.players else False
    last = torch.channels_last_3d if solid else torch.channels_last
    memory = last if case.batch > 1 else torch.contiguous_format
    for name, player in case.game.players.items():
        net = peer_net(player)
        with torch.no_grad():
            for own, array in zip(net.parameters(), leaves(player, params[name]), strict=True):
                own.copy_(torch.tensor(np.ascontiguousarray(array)))
        raw[name] = net.to(device, memory_format=memory)
    nets = {name: torch.compile(net) for name, net in raw.items()} if compiled else raw
    gpu = device != "cpu"
    adam = {
        name: torch.optim.Adam(net.parameters(), case.lr, (0.5, 0.999), fused=True, capturable=gpu)
        for name, net in raw.items()
    }
    draw = drawn(case, device)

    def cast() -> torch.autocast:
        return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")

    def differentiate(loss: Tensor, *names: str, keep: bool = False) -> None:
        own = [p for name in names for p in raw[name].parameters()]
        for p, grad in zip(own, torch.autograd.grad(loss, own, retain_graph=keep)):
            p.grad = grad

    def alternating() -> None:
        batch = draw()
        if isinstance(raw["G"], Team):
            with cast():
                fakes = nets["G"](batch["z"])
                loss = _told(nets["D"](batch["x"]), _named(nets["D"], fakes.detach()))
            differentiate(loss, "D")
            adam["D"].step()
            with cast():
                loss = _real(_named(nets["D"], fakes))
            differentiate(loss, "G")
            adam["G"].step()
            return
        with cast():
            fake = nets["G"](batch["z"])
            loss = (softplus(-nets["D"](batch["x"])) + softplus(nets["D"](fake.detach()))).mean()
        differentiate(loss, "D")
        adam["D"].step()
        with cast():
            loss = softplus(-nets["D"](fake)).mean()
        differentiate(loss, "G")
        adam["G"].step()

    def at_once() -> None:
        with cast():
            found = losses(nets, draw())
        makers = [name for name in ("G", "F") if name in nets]
        critics = [name for name in nets if name not in makers]
        differentiate(sum(found[name] for name in makers), *makers, keep=True)
        differentiate(sum(found[name] for name in critics), *critics)
        for optimiser in adam.values():
            optimiser.step()

    together = len(case.game.turns) == 1
    return Peer(nets, at_once if together else alternating)


def drawn(case: Case, device: str) -> Callable[[], Batch]:
    """Draws a batch and noise on the device, as the case does."""
    data, B, sees = case.data, case.batch, case.game.players["G"].inputs[0]
    if isinstance(data, Mixture):
        mean, sd = (
            torch.tensor(np.asarray(field), device=device) for field in (data.mean, data.sd)
        )

        def points() -> Batch:
            mode = torch.randint(len(mean), (B,), device=device)
            x = mean[mode] + sd[mode, None] * torch.randn(B, mean.shape[1], device=device)
            return {"x": x, "z": torch.randn(B, *sees, device=device)}

        return points
    arrays = {
        name: torch.tensor(np.asarray(values), device=device) for name, values in data.items()
    }

    def images() -> Batch:
        rows = torch.randint(len(arrays["x"]), (B,), device=device)
        batch = {
            name: values[rows].movedim(-1, 1).float() / 127.5 - 1 for name, values in arrays.items()
        }
        return batch if len(sees) > 1 else batch | {"z": torch.randn(B, *sees, device=device)}

    return images
