# The documents are the same everywhere.
