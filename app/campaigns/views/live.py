"""Live on the canvas."""
