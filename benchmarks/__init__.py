"""Slow proofs, run by hand: each prints the figures that a text claims."""
