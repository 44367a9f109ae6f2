"""Where the images come from and how they become batches. `cnncourse.data` is the way in."""
