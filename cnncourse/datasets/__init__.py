"""The images: batches, files and what they are checked by."""
