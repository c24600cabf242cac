"""Code that computes one thing over buffers, generated from Python when it is first needed."""
