"""What every package may use: clock, errors, files, ids and tasks. Nothing else."""
