CREATE TABLE old_calls (
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
    organization_id TEXT NOT NULL DEFAULT 'org_default',
    owner TEXT NOT NULL DEFAULT '',
    epoch BIGINT NOT NULL DEFAULT 0,
    order_key TEXT,
    bill_at BIGINT,
    bill_tries INTEGER NOT NULL DEFAULT 0,
    UNIQUE (configuration_id, provider_call_id)
);

INSERT INTO old_calls (id, direction, status, provider, generation, configuration_id, agent_id, from_address, to_address,
        provider_call_id, memo, created_at, answered_at, ended_at, duration_s, cost_amount, cost_currency, end_reason,
        recording, organization_id, owner, epoch, order_key, bill_at, bill_tries)
    SELECT id, direction, status, provider, generation, configuration_id, agent_id, from_address, to_address,
        provider_call_id, memo, created_at, answered_at, ended_at, duration_s, cost_amount, cost_currency, end_reason,
        recording, organization_id, owner, epoch, order_key, bill_at, bill_tries FROM calls ORDER BY id;

CREATE TABLE old_call_events (
    call_id TEXT NOT NULL REFERENCES old_calls (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (call_id, seq)
);

INSERT INTO old_call_events (call_id, seq, at, kind, data)
    SELECT call_id, seq, at, kind, data FROM call_events ORDER BY call_id, seq;

DROP TABLE call_events;
DROP TABLE calls;

ALTER TABLE old_calls RENAME TO calls;
ALTER TABLE old_call_events RENAME TO call_events;

CREATE INDEX calls_unfinished ON calls (id) WHERE ended_at IS NULL;
CREATE INDEX calls_of_organization ON calls (organization_id, id);
CREATE UNIQUE INDEX calls_by_order ON calls (order_key) WHERE order_key IS NOT NULL;
CREATE INDEX calls_to_bill ON calls (bill_at) WHERE bill_at IS NOT NULL;
