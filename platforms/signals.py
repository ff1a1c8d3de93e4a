"""The one way back from ``platforms`` to the apps above it."""

from django.dispatch import Signal

#: Sent inside one transaction, once per normalised event, with ``event``. A receiver is idempotent, blind to order,
#: does no network or storage, and returns the rows it touched as a list of ``(model label, pk as str)``.
platform_event = Signal()
