"""What is derived from the contract: edge configuration, OpenAPI, clients, and the checks of make lint."""
