-- What a provider calls a call, told by one number made of its name and the account's id (SHA-256, the first 64 bits). Such names
-- come in no order, so that each call touches another page of their index: with 78 bytes for each it outgrew what is kept in
-- memory, and cost an inbound webhook a tenth of its CPU. SQLite drops no constraint, so that the tables are made anew.
CREATE TABLE new_calls (
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
    name_key BIGINT,
    memo TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    answered_at BIGINT,
    ended_at BIGINT,
    duration_s BIGINT,
    cost_amount TEXT,
    cost_currency TEXT,
    end_reason TEXT,
    recording TEXT,
    organization_id TEXT NOT NULL DEFAULT 'org_default',
    owner TEXT NOT NULL DEFAULT '',
    epoch BIGINT NOT NULL DEFAULT 0,
    order_key TEXT,
    bill_at BIGINT,
    bill_tries INTEGER NOT NULL DEFAULT 0
);

INSERT INTO new_calls (id, direction, status, provider, generation, configuration_id, agent_id, from_address, to_address,
        provider_call_id, memo, created_at, answered_at, ended_at, duration_s, cost_amount, cost_currency, end_reason,
        recording, organization_id, owner, epoch, order_key, bill_at, bill_tries)
    SELECT id, direction, status, provider, generation, configuration_id, agent_id, from_address, to_address,
        provider_call_id, memo, created_at, answered_at, ended_at, duration_s, cost_amount, cost_currency, end_reason,
        recording, organization_id, owner, epoch, order_key, bill_at, bill_tries FROM calls ORDER BY id;

CREATE TABLE new_call_events (
    call_id TEXT NOT NULL REFERENCES new_calls (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (call_id, seq)
);

INSERT INTO new_call_events (call_id, seq, at, kind, data)
    SELECT call_id, seq, at, kind, data FROM call_events ORDER BY call_id, seq;

DROP TABLE call_events;
DROP TABLE calls;

ALTER TABLE new_calls RENAME TO calls;
ALTER TABLE new_call_events RENAME TO call_events;

-- A webhook that comes twice makes one call.
CREATE UNIQUE INDEX calls_named ON calls (name_key) WHERE name_key IS NOT NULL;
-- The host gives them their numbers when it starts next.
CREATE INDEX calls_not_named ON calls (id) WHERE name_key IS NULL AND provider_call_id IS NOT NULL;

CREATE INDEX calls_unfinished ON calls (id) WHERE ended_at IS NULL;
CREATE INDEX calls_of_organization ON calls (organization_id, id);
CREATE UNIQUE INDEX calls_by_order ON calls (order_key) WHERE order_key IS NOT NULL;
CREATE INDEX calls_to_bill ON calls (bill_at) WHERE bill_at IS NOT NULL;
