"""Decisions: pure functions and frozen models, no I/O, time is an argument. Every other room may import it."""
