"""Networks, layer for layer as the papers give them."""

from ganjax.nets.dense import MLP, MaxoutCritic, TrunkAndHead, symmetric, symmetric_init

__all__ = ["MLP", "MaxoutCritic", "TrunkAndHead", "symmetric", "symmetric_init"]
