-- What makes a state small: the text of a plan says of each slot what it says of the others.

-- The plan as JSON, compressed (zlib, RFC 1950); `json` is empty where this is not null.
ALTER TABLE plan ADD COLUMN zlib BLOB;
