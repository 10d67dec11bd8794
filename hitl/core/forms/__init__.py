"""A JSON Schema as the fields of a form, and what was typed into them as JSON again.

Pure: no HTML, no storage. The page, the command and anything else that asks a person one part at a time share it.

::

    parts     what the form of a schema is made of
    plan      from a schema to its parts
    constants which of the values that are always the same somebody is asked for
    sent      what a form holds of a value
    reading   what a form holds as a value again
    received  which fields were sent, and which of them were read
    held      whether a form shows a value
    names     the names of its fields
    steps     a row more or less, an optional part filled in or left out
    texts     what is typed into one field, read strictly
    hints     what a field takes, and why it does not take what was typed
    rules     what a schema asks of a list or an object as a whole
    places    the part of a form to which a fault belongs
    weight    how long its page is
    labels    values with labels, and the search for one
    offers    the values of which a whole answer is one, with their labels
"""

from hitl.core.forms.names import ROOT, Sent
from hitl.core.forms.parts import MISSING, Maybe, Part, PartFault
from hitl.core.forms.plan import plan
from hitl.core.forms.reading import read
from hitl.core.forms.sent import filled
from hitl.core.forms.steps import changed

__all__ = ["MISSING", "ROOT", "Maybe", "Part", "PartFault", "Sent", "changed", "filled", "plan", "read"]
