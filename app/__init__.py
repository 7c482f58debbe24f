"""Trellis, marketing automation that explains itself: start at layers.py."""

import gc

gc.set_threshold(10_000, 20, 20)  # what is loaded at the start is no garbage, and looking for some took a tenth of it
