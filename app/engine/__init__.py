"""The workflow engine: entering, claiming, running and journalling; one file a step, one a trigger."""
