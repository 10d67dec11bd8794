"""What lies in storage, as operations. Everything above the storage may import it.

Questions, links, outcomes, waiting, hints and retention have a module each.
"""
