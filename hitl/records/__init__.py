"""What lies in storage, as operations. Everything above the storage may import it.

Questions, links, outcomes and retention have a module each.
"""
