CREATE TABLE config (
    digest TEXT PRIMARY KEY,
    files  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE duration (
    action TEXT NOT NULL,
    region TEXT NOT NULL,
    le_ms  INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    sum_ms INTEGER NOT NULL,
    PRIMARY KEY (action, region, le_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE edge (
    src TEXT NOT NULL,
    dst TEXT NOT NULL,
    PRIMARY KEY (src, dst)
) STRICT, WITHOUT ROWID;
CREATE TABLE grant_ (
    object INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    uin    TEXT NOT NULL,
    PRIMARY KEY (object, uin)
) STRICT, WITHOUT ROWID;
CREATE TABLE id_ever (
    cloud_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE image_version (
    block         TEXT NOT NULL,
    version       TEXT NOT NULL,
    gen           INTEGER NOT NULL CHECK (gen >= 1),
    inputs        TEXT NOT NULL,
    inputs_digest TEXT NOT NULL,
    made_ms       INTEGER NOT NULL,
    PRIMARY KEY (block, version, gen)
) STRICT, WITHOUT ROWID;
CREATE TABLE lock (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    who      TEXT NOT NULL,
    host     TEXT NOT NULL,
    pid      INTEGER NOT NULL,
    started  INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    fence    INTEGER NOT NULL
) STRICT;
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE migration (
    n    INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TABLE object (
    id          INTEGER PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('image', 'share', 'fleet')),
    block       TEXT NOT NULL,
    slot        INTEGER,
    version     TEXT,
    part        TEXT,
    gen         INTEGER NOT NULL CHECK (gen >= 1),
    region      TEXT NOT NULL,
    id_kind     TEXT NOT NULL CHECK (id_kind IN ('image', 'instance')),
    cloud_id    TEXT NOT NULL,
    name        TEXT NOT NULL,
    zone        TEXT,
    ordinal     INTEGER,
    status      TEXT NOT NULL CHECK (status IN ('creating', 'ready', 'failed', 'deleting')),
    spec        INTEGER NOT NULL REFERENCES spec (id),
    made_from   TEXT,
    accepted_ms INTEGER NOT NULL,
    made_by     INTEGER REFERENCES op (id),
    addr        TEXT NOT NULL,
    UNIQUE (addr, gen)
) STRICT;
CREATE UNIQUE INDEX object_cloud_id ON object (region, cloud_id) WHERE kind <> 'share';
CREATE INDEX object_spec ON object (spec);
CREATE TABLE op (
    id          INTEGER PRIMARY KEY,
    run         INTEGER NOT NULL REFERENCES run (id),
    state       TEXT NOT NULL CHECK (state IN ('intended', 'sent', 'accepted', 'settled', 'failed')),
    action      TEXT NOT NULL,
    region      TEXT,
    attempt     INTEGER NOT NULL,
    intended_ms INTEGER NOT NULL,
    cloud_ms    INTEGER NOT NULL,
    sent_ms     INTEGER,
    settled_ms  INTEGER,
    request_id  TEXT,
    fault       TEXT,
    step        TEXT NOT NULL
) STRICT;
CREATE INDEX op_open ON op (id) WHERE state NOT IN ('settled', 'failed');
CREATE TABLE op_id (
    op       INTEGER NOT NULL REFERENCES op (id) ON DELETE CASCADE,
    cloud_id TEXT NOT NULL,
    id_kind  TEXT NOT NULL CHECK (id_kind IN ('image', 'instance')),
    n        INTEGER NOT NULL,
    unbound  INTEGER NOT NULL CHECK (unbound IN (0, 1)),
    PRIMARY KEY (op, cloud_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE op_target (
    op       INTEGER NOT NULL REFERENCES op (id) ON DELETE CASCADE,
    n        INTEGER NOT NULL,
    addr     TEXT NOT NULL,
    gen      INTEGER NOT NULL,
    arg      TEXT,
    effect   TEXT NOT NULL CHECK (effect IN ('nothing', 'make', 'become', 'remove', 'arrive')),
    make     TEXT,
    spec     INTEGER REFERENCES spec (id),
    cloud_id TEXT,
    id_kind  TEXT CHECK (id_kind IN ('image', 'instance')),
    outcome  TEXT CHECK (outcome IN ('done', 'failed')),
    why      TEXT,
    PRIMARY KEY (op, n),
    CHECK ((cloud_id IS NULL) = (id_kind IS NULL)),
    CHECK ((spec IS NULL) = (effect NOT IN ('make', 'become')))
) STRICT, WITHOUT ROWID;
CREATE INDEX op_target_spec ON op_target (spec) WHERE spec IS NOT NULL;
CREATE TABLE pause_wish (
    block    TEXT PRIMARY KEY,
    who      TEXT NOT NULL,
    host     TEXT NOT NULL,
    asked_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE plan (
    hash TEXT PRIMARY KEY,
    json TEXT NOT NULL
, zlib BLOB) STRICT;
CREATE TABLE rollout (
    block TEXT PRIMARY KEY,
    phase TEXT NOT NULL CHECK (phase IN ('running', 'paused', 'done', 'stopped', 'aborted', 'taken_back')),
    json  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE run (
    id            INTEGER PRIMARY KEY,
    kind          TEXT NOT NULL,
    who           TEXT NOT NULL,
    host          TEXT NOT NULL,
    started_ms    INTEGER NOT NULL,
    ended_ms      INTEGER,
    outcome       TEXT,
    config_digest TEXT NOT NULL,
    plan_hash     TEXT,
    serial_before INTEGER NOT NULL,
    serial_after  INTEGER, git_rev TEXT,
    CHECK ((ended_ms IS NULL) = (outcome IS NULL))
) STRICT;
CREATE TABLE spec (
    id     INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    json   TEXT NOT NULL
) STRICT;
