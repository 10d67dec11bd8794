"""What a task's report shows of a question: what is asked, and every way to answer it, ready to be pasted."""

from __future__ import annotations

import json
import shlex
from html import escape

from hitl.core.documents import RequestDocument, format_time
from hitl.core.jsontypes import json_example


def report_html(request: RequestDocument, form_url: str, api_url: str, response_path: str) -> str:
    """Return a piece of HTML for a report's tab. Everything in it that came from outside is escaped.

    Args:
        request: The question.
        form_url: The link to its form.
        api_url: Where programs answer.
        response_path: What programs send along, which lets them answer.
    """
    example = example_value(request)
    body = {
        "request_id": request.request_id,
        "value": example,
        "data_type": request.data_type,
        "response_path": response_path,
    }
    curl = f"curl -sS {shlex.quote(api_url)} --json {shlex.quote(json.dumps(body))}"
    patch = json.dumps({"spec": {"response": {"value": example}}})
    namespace = f" -n {request.origin.namespace}" if request.origin.namespace else ""
    kubectl = f"kubectl patch hi {request.request_id}{namespace} --type merge -p {shlex.quote(patch)}"
    return (
        f"<h2>{escape(request.event_name)}</h2>"
        f"<blockquote style='white-space: pre-wrap'>{escape(request.prompt)}</blockquote>"
        f"<p><a href='{escape(form_url)}' target='_blank' rel='noopener noreferrer'>Answer in the form</a> until "
        f"{escape(format_time(request.expires_at))}, or from a shell:</p>"
        f"<pre><code>{escape(curl)}</code></pre>"
        f"<p>or, where an operator serves this:</p><pre><code>{escape(kubectl)}</code></pre>"
    )


def example_value(request: RequestDocument) -> str:
    """Return a value that shows how an answer is written."""
    if request.choices:
        return request.choices[0]
    if request.data_type == "json":
        return json_example(request.json_schema)
    return {"int": "42", "float": "4.5", "bool": "true", "str": "some text"}[request.data_type]
