-- How far changes of fleets are: of each fleet the latest. `json` is all of it.
CREATE TABLE rollout (
    block TEXT PRIMARY KEY,
    phase TEXT NOT NULL CHECK (phase IN ('running', 'paused', 'done', 'stopped', 'aborted', 'taken_back')),
    json  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
