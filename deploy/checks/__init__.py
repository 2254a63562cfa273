"""What `make lint` and `make check-deploy` find wrong in `deploy/`."""
