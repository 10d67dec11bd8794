"""The Kubernetes API: its client, and models of its objects.

The operator, the command and the web app's sign-in import it.
"""
