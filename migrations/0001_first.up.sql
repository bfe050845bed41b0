-- Types that SQLite and PostgreSQL both take: TEXT ids, BIGINT Unix milliseconds, sealed secrets as TEXT (base64).

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE configurations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    provider TEXT NOT NULL,
    -- JSON objects: field name to value, and field name to sealed value.
    fields TEXT NOT NULL,
    secrets TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    connector TEXT NOT NULL,
    url TEXT,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE phone_numbers (
    id TEXT PRIMARY KEY,
    number TEXT NOT NULL,
    configuration_id TEXT NOT NULL REFERENCES configurations (id),
    agent_id TEXT REFERENCES agents (id),
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (configuration_id, number)
);

CREATE TABLE calls (
    id TEXT PRIMARY KEY,
    direction TEXT NOT NULL,
    status TEXT NOT NULL,
    provider TEXT NOT NULL,
    generation TEXT NOT NULL,
    configuration_id TEXT NOT NULL,
    agent_id TEXT,
    from_address TEXT NOT NULL,
    to_address TEXT NOT NULL,
    provider_call_id TEXT,
    memo TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    answered_at BIGINT,
    ended_at BIGINT,
    duration_s BIGINT,
    cost_amount TEXT,
    cost_currency TEXT,
    end_reason TEXT,
    recording TEXT,
    -- A webhook that comes twice makes one call.
    UNIQUE (configuration_id, provider_call_id)
);

-- Ids begin with the time, so that this and the primary key grow at one end.
CREATE INDEX calls_unfinished ON calls (id) WHERE ended_at IS NULL;

CREATE TABLE call_events (
    call_id TEXT NOT NULL REFERENCES calls (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (call_id, seq)
);

CREATE TABLE generations (
    plugin TEXT NOT NULL,
    digest TEXT NOT NULL,
    version TEXT NOT NULL,
    source TEXT NOT NULL,
    -- BYTEA in PostgreSQL; its migration says so.
    bytes BLOB NOT NULL,
    admitted_at BIGINT NOT NULL,
    PRIMARY KEY (plugin, digest)
);

CREATE TABLE current_generations (
    plugin TEXT PRIMARY KEY,
    digest TEXT NOT NULL
);
