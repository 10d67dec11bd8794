"""The web app's routes."""
