"""Where a task runs: one module for each engine.

Only `hitl.author` and the command import it, and only when that engine is installed.
"""
