"""cnncourse: readable reference implementations for a course on classic convolutional networks."""

__version__ = "0.1.0"
