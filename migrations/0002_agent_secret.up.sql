-- What the host proves itself to an agent with, sealed.
ALTER TABLE agents ADD COLUMN secret TEXT;
