"""Server-side apply and the record of who owns which field.

    entries = managed_fields.record(kind, old, new, manager="kubectl-edit", time=now)     # any write but an apply
    merged = managed_fields.apply(kind, live, configuration, Apply("kubectl", now), empty=empty)

Pure: objects in, objects and metadata.managedFields out. Storing, decoding and validating are the API server's.
"""

from labctl.api.managed_fields.applying import Apply, apply, conversion_error
from labctl.api.managed_fields.managers import same_but_times
from labctl.api.managed_fields.scale import to_parent, to_scale
from labctl.api.managed_fields.updates import Entries, record

__all__ = ["Apply", "Entries", "apply", "conversion_error", "record", "same_but_times", "to_parent", "to_scale"]
