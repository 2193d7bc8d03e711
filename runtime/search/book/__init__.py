"""What is durable of a search: what it is about, proposals, rows, and the account of its budget."""
