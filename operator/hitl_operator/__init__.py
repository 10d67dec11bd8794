"""The operator: keeps HumanInputs and requests in storage in step."""
