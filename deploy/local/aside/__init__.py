"""What takes large libraries is done in processes that end, so that the supervisor, which stays, has none of them.

asking     the supervisor's side
answering  such a process
beginning  one thing that is done so: secrets and certificates; the others are `provide` of databases and `write` of edges
"""
