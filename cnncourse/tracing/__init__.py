"""What `trace` is made of: a pass that is watched, receptive fields, and operations in words."""
