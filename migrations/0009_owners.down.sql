DROP INDEX calls_unfinished;
CREATE INDEX calls_unfinished ON calls (id) WHERE ended_at IS NULL;
