"""Prunes what retention lets go: announced first, dropped then, every hash and proof kept."""
