-- One row; `horizon`: the oldest version from which changes can still be told.
CREATE TABLE state (version INTEGER NOT NULL, horizon INTEGER NOT NULL) STRICT;
INSERT INTO state VALUES (0, 0);

-- `spec` is JSON; NULL: the tenant was removed at that version. `hash`: SHA-256 of `spec`.
CREATE TABLE tenants (
  id      TEXT PRIMARY KEY NOT NULL,
  version INTEGER NOT NULL,
  hash    BLOB NOT NULL,
  spec    TEXT
) STRICT;
CREATE INDEX tenants_by_version ON tenants (version);
