-- What belongs to other organizations than the default one goes with them: the older schema has no place for it.
DROP INDEX calls_by_order;
DROP INDEX calls_of_organization;
DELETE FROM call_events WHERE call_id IN (SELECT id FROM calls WHERE organization_id <> 'org_default');
DELETE FROM calls WHERE organization_id <> 'org_default';
ALTER TABLE calls DROP COLUMN order_key;
ALTER TABLE calls DROP COLUMN epoch;
ALTER TABLE calls DROP COLUMN owner;
ALTER TABLE calls DROP COLUMN organization_id;

CREATE TABLE old_configurations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    provider TEXT NOT NULL,
    fields TEXT NOT NULL,
    secrets TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

INSERT INTO old_configurations (id, name, provider, fields, secrets, created_at, updated_at)
    SELECT id, name, provider, fields, secrets, created_at, updated_at FROM configurations
    WHERE organization_id = 'org_default';

CREATE TABLE old_agents (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    connector TEXT NOT NULL,
    url TEXT,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    secret TEXT
);

INSERT INTO old_agents (id, name, connector, url, settings, created_at, updated_at, secret)
    SELECT id, name, connector, url, settings, created_at, updated_at, secret FROM agents
    WHERE organization_id = 'org_default';

CREATE TABLE old_phone_numbers (
    id TEXT PRIMARY KEY,
    number TEXT NOT NULL,
    configuration_id TEXT NOT NULL REFERENCES old_configurations (id),
    agent_id TEXT REFERENCES old_agents (id),
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (configuration_id, number)
);

INSERT INTO old_phone_numbers (id, number, configuration_id, agent_id, label, created_at, updated_at)
    SELECT id, number, configuration_id, agent_id, label, created_at, updated_at FROM phone_numbers
    WHERE organization_id = 'org_default';

CREATE TABLE old_sign_ins (
    id TEXT PRIMARY KEY,
    configuration_id TEXT NOT NULL REFERENCES old_configurations (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    tokens TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    refresh_expires_at BIGINT,
    scope TEXT NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    monitored INTEGER NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (configuration_id, person)
);

INSERT INTO old_sign_ins SELECT * FROM sign_ins WHERE configuration_id IN (SELECT id FROM old_configurations);

DROP TABLE sign_ins;
DROP TABLE phone_numbers;
DROP TABLE agents;
DROP TABLE configurations;
DROP TABLE call_seconds;
DROP TABLE api_tokens;
DROP TABLE organizations;

ALTER TABLE old_configurations RENAME TO configurations;
ALTER TABLE old_agents RENAME TO agents;
ALTER TABLE old_phone_numbers RENAME TO phone_numbers;
ALTER TABLE old_sign_ins RENAME TO sign_ins;
