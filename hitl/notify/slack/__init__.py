"""The Slack channel: messages with buttons and small forms, and the connection over which clicks come back.

::

    targets   what is configured
    ways      how a question can be answered in Slack, if it can
    blocks    messages, as Slack's blocks
    views     forms, as Slack's views, and what was filled in
    payloads  what comes from Slack, read strictly
    api       Slack's Web API, and what its errors mean
    channel   the channel, which posts and updates messages
    people    who clicked, by name
    answers   from a click to its result
    sockets   the connection
    listening who listens, and what waits
"""
