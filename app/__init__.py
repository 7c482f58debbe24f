"""Trellis, marketing automation that explains itself: start at layers.py."""
