"""Telling others what became of an image (``serve.notify``), attaching reports to images (``serve.attach``).

::

    deciding    a job ends -> what is told to whom, in the transaction of the ending
    outbox      what waits to be told; every change of its state as one transaction
    changed     what is told -> what changed since the name's previous report
    slack       that as a message for Slack and those that take its messages
    signed      headers of Standard Webhooks
    posting     one request to a receiver, and what its answer means
    attaching   a report -> signed, attached to its image
    delivering  threads, one for each receiver

What is told is a row under an id that is made of the ending and the receiver. So a kill at any moment loses none and
makes none twice. A message may still come twice where the receiver's answer was lost: it has the same id then.
"""
