"""Partial Order Pruning for Optuna."""
