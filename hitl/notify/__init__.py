"""Telling people of questions: one module for each channel, and what drives them.

`hitl.author` and the command import it.
"""
