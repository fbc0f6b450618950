-- How far changes of fleets are: of each fleet the latest. `json` is all of it.
CREATE TABLE rollout (
    block TEXT PRIMARY KEY,
    phase TEXT NOT NULL CHECK (phase IN ('running', 'paused', 'done', 'stopped', 'aborted', 'taken_back')),
    json  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Who wants a rollout to pause that the holder of the lock is carrying out. Others write this, outside fence and serial.
CREATE TABLE pause_wish (
    block    TEXT PRIMARY KEY,
    who      TEXT NOT NULL,
    host     TEXT NOT NULL,
    asked_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
