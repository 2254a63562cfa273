"""What each environment refuses to start with.

    rule        a setting, the environments that refuse a value of it, why, and what to do there
    addresses   what a rule asks of an address: is it example, does it stay on this machine
    services    the rules of a service's settings
    edge        those of the settings of an edge's container

The edge's image has this folder and nothing else of the chassis; it has no psycopg, which `services` imports.
"""
