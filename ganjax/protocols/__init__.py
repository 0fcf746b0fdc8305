"""How players are measured: players and data -> numbers."""
