"""From settings to a finished run folder, and the other long jobs of the commands in `pipelines`."""
