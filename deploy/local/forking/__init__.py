"""Python parts begin as copies of one process that has imported what all of them import: its memory is theirs, and so is its time.

forker   the supervisor's side: starts that process, and parts from it
server   that process
"""
