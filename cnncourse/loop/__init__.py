"""What stands beside the five lines of the training loop: sums, several processes, progress, devices, threads."""
