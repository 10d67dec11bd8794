"""A JSON Schema as the fields of a form, and what was typed into them as JSON again.

Pure: no HTML, no storage. The page, the command and anything else that asks a person one part at a time share it.

::

    parts   what the form of a schema is made of
    plan    from a schema to its parts
    sent    what a form holds: of a value, with a row more or less, and as a value again
    texts   what is typed into one field, read strictly
"""

from hitl.core.forms.parts import MISSING, Maybe, Part
from hitl.core.forms.plan import plan
from hitl.core.forms.sent import ROOT, PartFault, Sent, changed, filled, read

__all__ = ["MISSING", "ROOT", "Maybe", "Part", "PartFault", "Sent", "changed", "filled", "plan", "read"]
