"""What draws a network, and the convolution explorer."""
