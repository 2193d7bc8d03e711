"""The space of a program: its choices, the points that they make, and what these cost."""
