"""From the syntax tree to the graph: names, types, compile-time values, choices."""
