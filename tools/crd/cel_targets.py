"""The rules by which the API server refuses invalid NotificationTargets, in CEL, with sentences for people."""

from __future__ import annotations

from tools.crd.cel_times import Rule


def target_rules() -> list[Rule]:
    """Return the rules of NotificationTarget."""
    return [
        {
            # One of the 40 characters of a name in the storage's keys is the hyphen in front.
            "rule": "self.metadata.name.matches('^[a-z0-9]([a-z0-9-]{0,37}[a-z0-9])?$')",
            "message": "the name is part of keys: use at most 39 of a-z, 0-9 and hyphens",
        },
        {
            "rule": "self.spec.type != 'webhook' || has(self.spec.secretRef) || "
            "(has(self.spec.webhook) && has(self.spec.webhook.url))",
            "message": "a webhook needs a URL: give webhook.url, or secretRef to a Secret with the key url",
            "fieldPath": ".spec",
        },
        {
            "rule": "self.spec.type != 'mail' || has(self.spec.mail)",
            "message": "mail needs a server, and who gets it: give mail",
            "fieldPath": ".spec",
        },
        {
            "rule": "self.spec.type != 'slack' || (has(self.spec.slack) && has(self.spec.secretRef))",
            "message": "slack needs a channel, and a Secret with the key botToken: give slack and secretRef",
            "fieldPath": ".spec",
        },
        {
            "rule": "self.spec.type != 'apprise' || has(self.spec.secretRef)",
            "message": "apprise needs secretRef, to a Secret with the key url",
            "fieldPath": ".spec",
        },
    ]
