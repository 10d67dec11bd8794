"""The addresses of the web app and of the operator: the only place that builds them."""

from __future__ import annotations

from urllib.parse import urlencode


def form_url(endpoint: str, request_id: str, *, token: str = "") -> str:
    """Return the address of a question's form: short, as mail programs break long ones.

    Args:
        endpoint: The web app's base URL.
        request_id: The question.
        token: The link's token: everyone who has it may answer. Empty: the page asks for one, or for a sign-in.
    """
    query = f"?{urlencode({'token': token})}" if token else ""
    return f"{endpoint.rstrip('/')}/form/{request_id}{query}"


def inbox_url(endpoint: str, key: str) -> str:
    """Return the address of the inbox of local mode.

    Args:
        endpoint: The web app's base URL.
        key: The key of this user's inbox: everyone who has it may see and answer all of the root.
    """
    return f"{endpoint.rstrip('/')}/{key}/"


def submit_url(endpoint: str) -> str:
    """Return the address to which programs post their answers.

    Args:
        endpoint: The web app's base URL.
    """
    return f"{endpoint.rstrip('/')}/submit/json"


def hint_url(operator: str, request_id: str) -> str:
    """Return the address to which a hint about a request is posted.

    Args:
        operator: The operator's base URL.
        request_id: The request.
    """
    return f"{operator.rstrip('/')}/hints/{request_id}"
