"""What the service keeps: jobs, reports and what is asked across them. SQLite, or PostgreSQL by URL.

::

    tables      the tables; what is truth and what is there to be asked quickly
    database    URL -> a database whose transactions are serial where it matters; its clock; migrations
    keeping     a report goes in, and out again when it is old
    states      what indexes last said; which results still hold
    turns       what one of several processes does at a time
    rounds      the last round of questions to each index
    crawls      how far walks through registries have come
    paging      cursors of lists
    reading     questions across all images
    digests     what is known of one digest
    standing    where the fleet stands, and how it came there: what a person looks at first

The only package, with :mod:`scanner.service`, that needs ``cgscan[serve]``.
"""
