"""JSON Schema, for `json` answers and to narrow a scalar: draft 2020-12, with bounds.

Written by hand, because the checks of jsonschema have no bound: one schema and one answer could keep a process
busy without end (decision 0018). Tests compare what both find.

::

    check        what everybody else calls: is this a schema, does this value fit
    parts        a schema compiled: its parts, its references
    keywords     the keywords that look at one value, such as `minimum`
    applicators  the keywords that hold other schemas, such as `properties`
    metaschema   what a schema may look like
    patterns     the regular expressions, and what they cost
    formats      the formats that are checked
    work         one check's budget
"""

from hitl.core.schema.check import budget, check_schema, check_value
from hitl.core.schema.metaschema import DIALECT
from hitl.core.schema.patterns import MAX_PATTERN_CHARS

__all__ = ["DIALECT", "MAX_PATTERN_CHARS", "budget", "check_schema", "check_value"]
