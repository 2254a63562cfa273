"""What is measured: the local mesh, small servers, PostgreSQL and a proxy for the peers, and their data."""
