-- People who signed in with a provider. Tokens are sealed, bound to the row and the column.
CREATE TABLE sign_ins (
    id TEXT PRIMARY KEY,
    configuration_id TEXT NOT NULL REFERENCES configurations (id) ON DELETE CASCADE,
    -- As the provider names them.
    person TEXT NOT NULL,
    -- JSON with access and refresh token.
    tokens TEXT NOT NULL,
    -- Unix milliseconds.
    expires_at BIGINT NOT NULL,
    refresh_expires_at BIGINT,
    scope TEXT NOT NULL,
    -- 1 once the provider has taken it back: the person has to sign in anew.
    revoked INTEGER NOT NULL DEFAULT 0,
    -- 1 while the person's calls are to be told to them.
    monitored INTEGER NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (configuration_id, person)
);
