"""The operator: keeps HumanInputs and requests in storage in sync.

Nothing imports it.
"""
