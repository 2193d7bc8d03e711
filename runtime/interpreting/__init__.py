"""What the interpreter is made of: plans made ready, and the frames that run them."""
