"""Protocols: players and data -> numbers."""
