"""What `make lint` holds against this project's own rules: contract, imports, queries, owners of rows, errors."""
