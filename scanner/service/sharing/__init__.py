"""What scans remember is shared by the workers of a fleet, and a layer that several of them want is read by one.

::

    wire          what a scan's process asks of its worker, as bytes
    floors        the scan's side: the machine's own cache, behind it the fleet's
    remembered    the fleet's: a table of the database
    claims        who reads a layer at the moment
    desk          the worker's side: answers one scan for as long as it runs

A scan's process, in which a stranger's image is read, has a pipe to its worker and nothing of the database's: it may
ask for what is remembered under a digest, put what is not there yet, and claim, all of it bounded in number and bytes.
What is there it can neither change nor delete. Kinds are shared that cannot change under their key and are dear to
make; what an index answers, or has listed once, and whole reports are each machine's own.

No scan can lock out another. Who holds a claim reads one layer and waits for no other claim meanwhile; a claim ends
with its scan, or is not renewed any more when its worker is gone; and who has waited long enough reads without it.
Where the database is away, scans go on as if nothing were shared.
"""
