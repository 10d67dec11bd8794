"""The web app, whose inbox reads the storage once: `python -m tests.web.unhurried`. Later it knows hints alone."""

from hitl_webapp.inbox import inbox

AGES = 1e9

if __name__ == "__main__":
    from hitl_webapp.__main__ import main

    for name in ("_AGED_SECONDS", "_STALE_SECONDS", "_KEPT_SECONDS", "_BELIEVED_SECONDS"):
        vars(inbox)[name] = AGES
    for name in ("_KEPT_FACTOR", "_LONG_FACTOR"):
        vars(inbox)[name] = AGES**2
    main()
