-- What became of each attempt to bring a build of a plugin into service.
CREATE TABLE rollouts (
    id TEXT PRIMARY KEY,
    plugin TEXT NOT NULL,
    digest TEXT NOT NULL,
    -- The build that served before.
    previous TEXT,
    -- Where the bytes came from, and who sent them.
    source TEXT NOT NULL,
    who TEXT NOT NULL,
    -- refused, shadow, canary, baking, serving, rolled-back, aborted
    state TEXT NOT NULL,
    reason TEXT,
    -- JSON: the stages with what they found, and the figures of shadow, canary and bake.
    stages TEXT NOT NULL,
    figures TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX rollouts_of_plugin ON rollouts (plugin, id);
