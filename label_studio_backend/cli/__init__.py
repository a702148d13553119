"""The verbs that this adapter adds to ``fcfi``."""
