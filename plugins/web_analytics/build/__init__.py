"""Builds or deletes one date exactly once: locks, steps, cleanup, adoption."""
