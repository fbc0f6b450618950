-- The embedded cloud's own file. Times are milliseconds since the epoch; an operation is its start, its end and its
-- outcome, and states are read off them. Ids are not stored: they are a one-to-one image of the row's number.

CREATE TABLE cloud (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    seed          INTEGER NOT NULL,
    last_ms       INTEGER NOT NULL,              -- the latest time seen: time never runs backwards
    requests      INTEGER NOT NULL,
    next_instance INTEGER NOT NULL,
    next_image    INTEGER NOT NULL,
    next_snapshot INTEGER NOT NULL
) STRICT;

-- What instances were made with, shared by all of one launch; never changed, but replaced.
CREATE TABLE spec (
    n         INTEGER PRIMARY KEY,
    body      TEXT NOT NULL,
    user_data TEXT                               -- base64, as it came
) STRICT;

CREATE TABLE instance (
    n          INTEGER PRIMARY KEY,
    account    INTEGER NOT NULL,
    region     TEXT NOT NULL,
    zone       TEXT NOT NULL,
    name       TEXT NOT NULL,
    spec       INTEGER NOT NULL REFERENCES spec (n),
    next_spec  INTEGER REFERENCES spec (n),      -- holds from op_until on, if the operation succeeds
    counted    INTEGER NOT NULL,                 -- whether it takes a place of the zone's quota
    created_ms INTEGER NOT NULL,
    op         INTEGER NOT NULL,
    op_start   INTEGER NOT NULL,
    op_until   INTEGER NOT NULL,
    op_error   TEXT,                             -- why it fails, if it does
    op_request TEXT NOT NULL,
    was        INTEGER NOT NULL,                 -- power before and after the operation
    becomes    INTEGER NOT NULL,
    boot_ms    INTEGER,                          -- when it last began to run
    off_ms     INTEGER,                          -- when it switches itself off
    gone_ms    INTEGER,                          -- when it is gone
    address    TEXT,                             -- a private address that was asked for
    hidden     INTEGER NOT NULL                  -- whether the next listing leaves it out
) STRICT;
CREATE INDEX instance_by_place ON instance (account, region, zone);
CREATE INDEX instance_by_end ON instance (gone_ms) WHERE gone_ms IS NOT NULL;
CREATE INDEX instance_by_spec ON instance (spec);
CREATE INDEX instance_by_next_spec ON instance (next_spec) WHERE next_spec IS NOT NULL;
CREATE INDEX instance_by_address ON instance (address) WHERE address IS NOT NULL;

-- How many places of a zone's quota an account uses.
CREATE TABLE usage (
    account INTEGER NOT NULL,
    zone    TEXT NOT NULL,
    used    INTEGER NOT NULL,
    PRIMARY KEY (account, zone)
) STRICT, WITHOUT ROWID;

-- Data disks that outlived their instance.
CREATE TABLE disk (
    n       INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    region  TEXT NOT NULL,
    zone    TEXT NOT NULL,
    kind    TEXT NOT NULL,
    size    INTEGER NOT NULL
) STRICT;

CREATE TABLE image (
    n           INTEGER PRIMARY KEY,
    account     INTEGER NOT NULL,
    region      TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    family      TEXT NOT NULL,
    deprecated  INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    whole       INTEGER NOT NULL,                -- whether it has data disks
    content     TEXT NOT NULL,
    op          INTEGER NOT NULL,
    op_start    INTEGER NOT NULL,
    op_until    INTEGER NOT NULL,
    op_error    TEXT,
    gone_ms     INTEGER,
    drop_snaps  INTEGER NOT NULL,                -- whether its snapshots go with it
    hidden      INTEGER NOT NULL,
    UNIQUE (account, region, name)
) STRICT;
CREATE INDEX image_by_end ON image (gone_ms) WHERE gone_ms IS NOT NULL;

CREATE TABLE snapshot (
    n       INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    region  TEXT NOT NULL,
    image   INTEGER REFERENCES image (n),        -- NULL: its image was deleted without it
    usage   TEXT NOT NULL,
    size    INTEGER NOT NULL,
    content TEXT NOT NULL,
    made_ms INTEGER NOT NULL                     -- when it is finished
) STRICT;
CREATE INDEX snapshot_by_image ON snapshot (image);

CREATE TABLE share (
    image      INTEGER NOT NULL REFERENCES image (n),
    account    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (image, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX share_by_account ON share (account);

CREATE TABLE tag (
    resource INTEGER NOT NULL,                   -- the kind and the number of an id, so that neighbours are close
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    account  INTEGER NOT NULL,
    region   TEXT NOT NULL,
    PRIMARY KEY (resource, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_key ON tag (account, key, value, region);

-- Keys and values that an account ever made; they outlive what carried them.
CREATE TABLE tag_value (
    account INTEGER NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (account, key, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    account INTEGER NOT NULL,
    region  TEXT NOT NULL,
    token   TEXT NOT NULL,
    digest  TEXT NOT NULL,
    first   INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    PRIMARY KEY (account, region, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_by_time ON token (made_ms);

-- Networks, subnets, groups and keys: each exists from its first use, and stays where that was.
CREATE TABLE net (
    id      TEXT PRIMARY KEY,
    account INTEGER NOT NULL,
    region  TEXT NOT NULL,
    zone    TEXT NOT NULL,
    vpc     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
