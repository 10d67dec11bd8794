"""The web app in which people answer.

Only `hitl serve` imports it. `hitl.serving` and `hitl.engines` load it by its name, when they start it.
"""
