"""Run folders, what the processes of a launch agree on, locks, signals and checkpoint files; light to import."""
