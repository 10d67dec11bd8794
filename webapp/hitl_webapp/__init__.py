"""The web app in which people answer."""
