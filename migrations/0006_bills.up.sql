-- When the provider is next asked what a call cost; none where it is known, or will not be.
ALTER TABLE calls ADD COLUMN bill_at BIGINT;
ALTER TABLE calls ADD COLUMN bill_tries INTEGER NOT NULL DEFAULT 0;

CREATE INDEX calls_to_bill ON calls (bill_at) WHERE bill_at IS NOT NULL;
