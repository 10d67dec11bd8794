"""The web app inside this process. `hitl.author` and the command import it."""
