-- Whose calls are up is asked every two seconds. By its owner, a host's own calls are stepped over and not read.
DROP INDEX calls_unfinished;
CREATE INDEX calls_unfinished ON calls (owner) WHERE ended_at IS NULL;
