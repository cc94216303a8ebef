"""The service: what registries push is queued, scanned and kept.

::

    jobs        the queue's truth: what a job is, and every change of its state as one transaction
    intake      the jobs of requests that come at the same time, in one transaction
    carrier     huey wakes workers; what it loses costs time, never a job
    sharing     what scans remember, for all workers; who reads a layer
    child       one scan in a process of its own, bounded in memory
    scanning    job -> reports, or why not and whether it may pass
    telling     what became of an image -> those who want to know; reports -> beside their images
    worker      claim, keep the lease, scan, end under the lease
    circumstances  what decides a result besides the image: settings, and the state of the indexes
    place       the database and the queue, for those who work beside requests and scans
    looking     what a registry has of what is to be walked through, and what of it is not known
    walking     one walk through a registry: what is new is queued
    watching    do indexes say something else, and what is to be looked at again because of it
    rounds      both of them now and then, by one of several processes at a time
    crawlnow    one walk now, for the command
    tokens      who may read, who may have something scanned
    sessions    people who have shown a token
    metrics     what Prometheus is told
    admission   Kubernetes asks before it deploys: answered from results, in time
    harbor      what Harbor asks of a scanner, and reports in its words
    api         HTTP
    health      is a service on this machine ready
    transport   TLS: certificates, and new ones when they are renewed
    pages       what people read
    running     one process, or a worker of many; stopping in good order
    logs        lines for people, or JSON

A job's row is what counts. A worker holds a lease on it that it renews, with a number that grows with each claim: who
has lost the lease changes nothing any more. Results are written in the transaction that ends the job, and a digest has
one result under one state of the indexes, by a unique key. So a kill at any moment costs an attempt and nothing else.
"""
