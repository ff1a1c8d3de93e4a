"""An app that only exists in processes which a test starts in order to kill them; see ``tests/crash.py``."""
