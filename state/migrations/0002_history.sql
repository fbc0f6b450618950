-- What the history tells of a run's config, and what stays when old runs go.

-- The commit that was checked out where the config lies, where that could be read.
ALTER TABLE run ADD COLUMN git_rev TEXT;

-- Ids that were recorded in operations which are no longer in the journal: recovery must go on knowing them.
CREATE TABLE id_ever (
    cloud_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
