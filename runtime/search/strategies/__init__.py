"""Strategies: which points are asked which questions next, by what is believed of all of them."""
