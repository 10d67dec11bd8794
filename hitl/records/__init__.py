"""Operations on the records in storage. Everything above the storage may import it.

Questions, links, outcomes, waiting, hints and retention have a module each.
"""
