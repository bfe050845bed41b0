-- Every row belongs to an organization. Names are unique within one; the default one is there for whoever needs only one.
CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- Limits; none is no limit of its own.
    max_calls BIGINT,
    calls_per_second BIGINT,
    minutes_per_month BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

INSERT INTO organizations (id, name, created_at, updated_at) VALUES ('org_default', 'default', 0, 0);

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    -- SHA-256 of the token, in hex. The token itself is nowhere.
    digest TEXT NOT NULL UNIQUE,
    -- Words with spaces between them.
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Seconds of calls by month (`2026-11`), for quotas.
CREATE TABLE call_seconds (
    organization_id TEXT NOT NULL,
    month TEXT NOT NULL,
    seconds BIGINT NOT NULL,
    PRIMARY KEY (organization_id, month)
);

-- Names were unique over all: the tables are made anew, because SQLite drops no constraint.
CREATE TABLE new_configurations (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    fields TEXT NOT NULL,
    secrets TEXT NOT NULL,
    -- Secrets that were replaced and still prove webhooks: JSON, field to sealed value and until when.
    previous TEXT NOT NULL DEFAULT '{}',
    -- 1 for the one that places calls where an order names none.
    is_default BIGINT NOT NULL DEFAULT 0,
    max_calls BIGINT,
    calls_per_second BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, name)
);

INSERT INTO new_configurations (id, organization_id, name, provider, fields, secrets, created_at, updated_at)
    SELECT id, 'org_default', name, provider, fields, secrets, created_at, updated_at FROM configurations;

CREATE TABLE new_agents (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    connector TEXT NOT NULL,
    url TEXT,
    settings TEXT NOT NULL,
    secret TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (organization_id, name)
);

INSERT INTO new_agents (id, organization_id, name, connector, url, settings, secret, created_at, updated_at)
    SELECT id, 'org_default', name, connector, url, settings, secret, created_at, updated_at FROM agents;

CREATE TABLE new_phone_numbers (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    number TEXT NOT NULL,
    configuration_id TEXT NOT NULL REFERENCES new_configurations (id),
    agent_id TEXT REFERENCES new_agents (id),
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (configuration_id, number)
);

INSERT INTO new_phone_numbers (id, organization_id, number, configuration_id, agent_id, label, created_at, updated_at)
    SELECT id, 'org_default', number, configuration_id, agent_id, label, created_at, updated_at FROM phone_numbers;

CREATE TABLE new_sign_ins (
    id TEXT PRIMARY KEY,
    configuration_id TEXT NOT NULL REFERENCES new_configurations (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    tokens TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    refresh_expires_at BIGINT,
    scope TEXT NOT NULL,
    revoked BIGINT NOT NULL DEFAULT 0,
    monitored BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (configuration_id, person)
);

INSERT INTO new_sign_ins SELECT * FROM sign_ins;

DROP TABLE sign_ins;
DROP TABLE phone_numbers;
DROP TABLE agents;
DROP TABLE configurations;

ALTER TABLE new_configurations RENAME TO configurations;
ALTER TABLE new_agents RENAME TO agents;
ALTER TABLE new_phone_numbers RENAME TO phone_numbers;
ALTER TABLE new_sign_ins RENAME TO sign_ins;

ALTER TABLE calls ADD COLUMN organization_id TEXT NOT NULL DEFAULT 'org_default';
-- The node that carries the call, and how often it changed hands: who has an older number writes nothing.
ALTER TABLE calls ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;

-- Lists, newest first. Other filters walk a bounded part of it: an index for each would cost every call.
CREATE INDEX calls_of_organization ON calls (organization_id, id);

-- What an order was given under (Idempotency-Key): the same again is the same call, on whichever node it comes.
ALTER TABLE calls ADD COLUMN order_key TEXT;
CREATE UNIQUE INDEX calls_by_order ON calls (order_key) WHERE order_key IS NOT NULL;
