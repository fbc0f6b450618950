-- What came after schema.sql: a fresh file is made by both, an old one by this alone. New columns stand at the end.

ALTER TABLE image ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;   -- whether it came in as a file
ALTER TABLE image ADD COLUMN encrypted INTEGER NOT NULL DEFAULT 0;

ALTER TABLE instance ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;   -- its place in its launch, from 0
ALTER TABLE instance ADD COLUMN ends_ms INTEGER;                      -- when the cloud takes it away by itself
ALTER TABLE instance ADD COLUMN ends_into INTEGER NOT NULL DEFAULT 0; -- what becomes of it then
ALTER TABLE instance ADD COLUMN placement_group TEXT;
CREATE INDEX instance_by_group ON instance (placement_group) WHERE placement_group IS NOT NULL;

-- How much of a zone's quotas an account uses: the billing mode, for prepaid ones with the month, `PREPAID 2026-11`.
CREATE TABLE taken (
    account INTEGER NOT NULL,
    zone    TEXT NOT NULL,
    what    TEXT NOT NULL,
    used    INTEGER NOT NULL,
    PRIMARY KEY (account, zone, what)
) STRICT, WITHOUT ROWID;
INSERT INTO taken SELECT account, zone, 'POSTPAID_BY_HOUR', used FROM usage;
DROP TABLE usage;
