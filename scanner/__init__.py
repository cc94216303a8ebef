"""cgscan: prove which build of every Python distribution a container image runs.

Table of contents, in reading order. A module imports only from modules named above it
(a package counts as one module); ``tests/test_contents.py`` holds the code to that.

Words: pure values, no I/O of their own
    status          exit statuses, and what they mean
    variables       the environment variables that change what is done, beside those of settings
    errors          every exception raised on purpose, drawn as a tree
    limits          bounds on hostile input, with their defaults
    progress        what a scan tells while it works
    threads         threads that do not outlive an error of their caller
    digest          digests as values; streams that verify themselves while they are read
    compression     gzip, zstd or plain, told by their first bytes; bounded expansion
    ahead           a stream that is read by a thread of its own, a bounded number of chunks ahead
    tarstream       the entries of a tar stream, to the end-of-archive blocks or an error
    toc             the table of contents of an eStargz or zstd:chunked layer
    reference       TARGET strings as values
    image           Image, Layer, Platform; Directory and File targets
    record          RECORD rows: parse, normalise; where installers move things
    forms           what stays of a file when tools change newlines, symbols or the dynamic section
    zips            zip files of strangers, read in bounded memory as Python's importer reads them
    wheel           what a wheel file holds: its members, digests and metadata
    artifact        wheels and source archives stored under names of their own, told by their bytes
    cachefiles      what the caches of pip, uv, Poetry and PDM write beside artifacts and around them
    distribution    Installed, Vendored, WheelFile; Finding
    bytecode        what the name and the header of a .pyc say
    attestation     what is signed about a wheel, and whose signatures count
    index           Index, IndexFile, Role, Evidence
    vex             what OpenVEX documents say of the builds of a project
    manager         what a repository manager tells of a proxy: Repository, Retrieved; Manager, Deleting
    checkup         what a check-up of the configuration found, as values
    decoding        JSON of strangers -> values, by their annotations, with every fault
    envelope        DSSE envelopes: a payload, what it is, and the signatures over both
    stale           copies in proxies and local caches that keep Chainguard's build away, as values
    lockfile        entries of lock files, and whether they let Chainguard's bytes in, as values
    owner           Owner: which package owns a file, and the digest it has for it
    rpmheader       one package of rpm's: its files
    rpmdb           rpm's package database in its three forms -> packages
    condameta       one package of a conda environment: its files

Outside: the only modules that touch network, daemon and disk
    store           what is remembered between scans
    snapshot        what indexes have answered, in one file for a place without network
    credentialhelper  a program that is asked for credentials, bounded in time and output
    http            the one client; the only module that imports httpx
    signatures      is a wheel's sha256 signed, and by whom; the only module that imports sigstore
    signing         key files -> signed envelopes; which envelopes a key holds for
    sources         reference -> Image: registry, daemon, archive, layout, directory, file
    referrers       what is attached to an image in a registry: listed, read, pushed
    indexes         configuration -> Index: simple pages, local trees; reading remote wheels
    vexfeed         a feed of OpenVEX documents: asked, or from the store
    managers        a repository manager's own interface: what a proxy has fetched, and deleting it
    toolstores      deleting single entries of the caches of pip, uv, Poetry and PDM
    journal         what a purge has done, line by line, so that a second run goes on

Reasoning: pure, in the order of the data
    inventory       what one layer holds: Entry, Inventory
    inventories     a layer's tar, a directory, a file -> Inventory
    merging         the tree while layers are put on it: nodes, and the way to a path
    grafts          opened archives as folders beside their files
    rootfs          inventories -> one tree with attribution
    owners          dpkg, apk, rpm, conda: who owns a path, and how it stands to its owner's list
    environment     where installers put the members of a wheel in an environment
    discovery       environments by their structure, with or without metadata
    finders         tree -> distributions and findings
    claimed         which files a distribution's own metadata say are its
    editable        what the backends of editable installs write to run at every start
    recompiling     is byte code what its source compiles to; asked of processes of their own
    scripts         generated entry-point scripts: do they do what entry_points.txt says
    placement       where the members of a wheel stand: in an environment, in a wheel file
    match           files x candidate wheels -> the best explanation
    attesting       what is signed for the wheels that explain something: asked for, checked, remembered
    candidates      which wheels may explain a distribution, and whose they are
    earlier         wheels that indexes listed once, beside those that they list
    verdict         explanation -> origin, integrity, reason
    report          all of it for one target
    assessed        one distribution with its verdict; the terms of an assessment
    hearsay         what installers noted and folders are called, beside a verdict
    available       what Chainguard offers of a release
    comparison      one distribution against the indexes, in widening circles
    vendors         distributions inside the files of another
    notes           what was done to changed files, in words
    lines           assessed distributions -> lines of the report
    live            of several dist-infos of one project, the one whose files are there
    claims          what distributions claim and their bytes deny
    strays          importable files of environments that nothing accounts for, as values
    guessing        which projects a folder without metadata may be, by its name
    versions        which version of a project has files without metadata
    identifying     distributions without metadata, known by their content
    unowned         importable files that no distribution accounts for
    assess          tree x indexes -> the report's lines and findings
    explanation     one distribution file by file: what explain says, as values
    explaining      a judged distribution beside the wheels of both sides -> its explanation
    hiding          does a layer hide anything that may be a distribution's
    lower           what lower layers still carry though it is hidden
    policy          report x policy -> passed, violations
    reportfile      a report's file -> the report, read as data from elsewhere
    plan            what could come from Chainguard and does not yet, in steps, as values
    planfile        a plan as JSON, and back
    purge           stale copies x filters -> what is deleted, what is left and why
    offers          what Chainguard's indexes have instead of a distribution, and why nothing
    stalecopies     a manager's proxy, a scanned cache x Chainguard's indexes -> stale copies
    planning        reports x offers -> a plan
    pairing         which distribution of one report is which of another
    proof           two reports of a target -> what moved to Chainguard, what did not and why
    difference      two reports of a target -> what became better, worse, came and went
    builtwheels     the wheels of a version that Chainguard built, by evidence
    lockfiles       the text of a lock file -> its entries with their places; changed places -> the text
    acceptance      entries of a lock file x Chainguard's wheels -> what they accept; pure
    formats         report -> text: table, json, yaml, csv, markdown, html, sarif, cyclonedx, spdx
    statement       a report -> in-toto statements about its image
    vouched         what attestations say of an image, and which of them counts
    verified        that as text: a table or JSON

Putting together
    secondlook      changed files read again, to say in what form they differ
    prefetching     indexes are asked while layers are still read
    answered        what indexes have answered in a scan, as fingerprints
    settled         what a scan came to, remembered with every answer that it rests on
    pipeline        scan(): the whole way of the data
    yamlfile        a YAML file as plain data, bounded
    values          one setting as a person writes it -> what it means
    sections        mappings of a configuration file, and keys that are none
    entries         the indexes of a configuration file and of the command line -> IndexSpec
    webhooks        what a registry posts when an image is pushed: is it the registry's, and which image of ours
    serving         the section serve of a configuration file
    config          flags, environment, file -> one frozen Settings
    configschema    the settings as a JSON Schema, for editors
    run             settings -> reports -> outputs
    lockdisk        lock files on disk: read with what they include, written whole or not at all
    wanted          reports, requirements and names -> which projects and versions a snapshot is to have
    pulling         what is wanted x indexes -> a snapshot
    doctor          is the configuration right, do indexes serve what it says; the repositories of a manager
    drafting        targets, reports, managers -> a plan
    proving         the report before, the new build -> a proof of what moved
    diffing         two targets or files of reports -> their difference
    locking         lock files x indexes -> what they accept; hashes written
    purging         what is to be deleted -> deletions one after the other, and how each ended
    vouching        reports -> attestations: stated, signed, attached to their images
    verifying       a target or a file, and keys -> what its attestations are worth
    results         the service's tables: jobs, reports, what is asked across them
    service         webhooks, queue, workers, API, pages
    display         progress on a terminal
    cli             parse, call, print, exit status
"""

__version__ = "0.1.0"
