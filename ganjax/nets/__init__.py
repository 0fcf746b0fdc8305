"""Networks, layer for layer as the papers give them."""

from ganjax.nets.dense import MLP, MaxoutCritic, Positive, TrunkAndHead, symmetric, symmetric_init

__all__ = ["MLP", "MaxoutCritic", "Positive", "TrunkAndHead", "symmetric", "symmetric_init"]
