"""cgscan: prove which build of every Python distribution a container image runs.

Table of contents, in reading order. A module imports only from modules named above it
(a package counts as one module); ``tests/test_contents.py`` holds the code to that.

Words: pure values, no I/O of their own
    errors          every exception raised on purpose, drawn as a tree
    limits          bounds on hostile input, with their defaults
    progress        what a scan tells while it works
    threads         threads that do not outlive an error of their caller
    digest          digests as values; streams that verify themselves while they are read
    compression     gzip, zstd or plain, told by their first bytes; bounded expansion
    tarstream       the entries of a tar stream, to the end-of-archive blocks or an error
    reference       TARGET strings as values
    image           Image, Layer, Platform; Directory and File targets
    record          RECORD rows: parse, normalise; where installers move things
    wheel           what a wheel file holds: its members, digests and metadata
    distribution    Installed, Vendored, WheelFile; Finding
    index           Index, IndexFile, Role, Evidence

Outside: the only modules that touch network, daemon and disk
    store           what is remembered between scans
    http            the one client; the only module that imports httpx
    sources         reference -> Image: registry, daemon, archive, layout, directory, file
    indexes         configuration -> Index: simple pages, local trees; reading remote wheels

Reasoning: pure, in the order of the data
    inventory       a layer's tar -> Inventory
    rootfs          inventories -> one tree with attribution
    owners          dpkg, apk: who owns a path
    environment     where installers put the members of a wheel in an environment
    finders         tree -> distributions and findings
    scripts         generated entry-point scripts: do they do what entry_points.txt says
    placement       where the members of a wheel stand: in an environment, in a wheel file
    match           files x candidate wheels -> the best explanation
    candidates      which wheels may explain a distribution, and whose they are
    verdict         explanation -> origin, integrity, reason
    report          all of it for one target
    unowned         importable files that no distribution accounts for
    assess          tree x indexes -> the report's lines and findings
    policy          report x policy -> passed, violations
    formats         report -> text: table, json, yaml, csv, markdown

Putting together
    pipeline        scan(): the whole way of the data
    yamlfile        a YAML file as plain data, bounded
    values          one setting as a person writes it -> what it means
    config          flags, environment, file -> one frozen Settings
    run             settings -> reports -> outputs
    display         progress on a terminal
    cli             parse, call, print, exit status
"""

__version__ = "0.1.0"
