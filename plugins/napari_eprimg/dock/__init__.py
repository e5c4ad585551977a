"""The reading workflow: its steps, its jobs and its notices."""
