"""What the site does with a page that MkDocs does not: mkdocs.yml names this file under `hooks`."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import mermaidx
from pymdownx.superfences import SuperFencesException

_TITLE = re.compile(r"^(```\w+) title=(\w+)$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Have Mermaid's code blocks drawn."""
    fence = {"name": "mermaid", "class": "mermaid", "format": picture}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Quote the titles of code blocks: GitHub takes them either way, and Markdown's extension only quoted."""
    return _TITLE.sub(r'\1 title="\2"', markdown)


def picture(source: str, *_: Any, **__: Any) -> str:
    """Draw a picture while the site is built: the theme would load Mermaid from a CDN in each reader's browser.

    Args:
        source: The picture in Mermaid's language.

    Returns:
        The picture as SVG inside a `figure`.

    Raises:
        SuperFencesException: when Mermaid does not understand the source. Only this exception fails the build;
            after any other, the source would be shown as code.
    """
    try:
        svg = mermaidx.render(source, theme="neutral").svg()
    except RuntimeError as error:
        raise SuperFencesException(str(error)) from error
    # Every picture has the same ids, and two on one page would take each other's style.
    name = f"picture-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    return f'<figure class="picture">{svg.replace("my-svg", name)}</figure>'
