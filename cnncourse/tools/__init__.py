"""What runs, measures and checks the course, and the commands."""
