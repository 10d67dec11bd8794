"""The API keeps to its own description, whatever is sent."""

from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error

from hitl_webapp.main import create_app
from hitl_webapp.settings import WebSettings
from tests.web.serving import WebApp

schema = schemathesis.openapi.from_dict(create_app(WebSettings(storage_root="memory://openapi")).openapi())


@schema.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_nothing_that_is_sent_gives_a_server_error(case: schemathesis.Case[Any], shared_app: WebApp) -> None:
    case.call_and_validate(base_url=shared_app.url, checks=[not_a_server_error])


def test_every_page_says_what_it_is_and_lets_nothing_else_in(shared_app: WebApp, tmp_path: Path) -> None:
    for path in ("/", "/docs", "/openapi.json", "/health", "/ready", "/metrics", "/nowhere"):
        reply = httpx.get(shared_app.url + path)
        assert reply.status_code in (200, 404)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "hitl_web_forms" in httpx.get(f"{shared_app.url}/metrics").text
