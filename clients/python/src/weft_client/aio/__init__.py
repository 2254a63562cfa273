"""The asyncio flavour. The blocking one is derived from these modules by `make gen`."""
