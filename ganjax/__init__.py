"""Adversarial games in JAX: players, one function of losses, the order of the turns."""

from ganjax import data, losses, play
from ganjax.game import Game, Turn
from ganjax.player import Player

__version__ = "0.1.0"
__all__ = ["Game", "Player", "Turn", "data", "losses", "play"]
