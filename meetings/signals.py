"""What meetings tell the apps above them."""

from django.dispatch import Signal

#: Sent when a person takes a consent back or refuses after the fact, with ``meeting`` and ``participant``.
consent_withdrawn = Signal()
