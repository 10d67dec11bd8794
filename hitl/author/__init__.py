"""What authors of tasks call. Only `hitl` itself, the command and agents import it."""
