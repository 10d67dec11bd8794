"""What decides: pure functions and frozen models, no I/O, time comes in. Every other room may import it."""
