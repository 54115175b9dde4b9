-- One row. `version` counts up with every edit; `seen`: the last time that a node was known to run, milliseconds since 1970.
CREATE TABLE state (version INTEGER NOT NULL, seen INTEGER NOT NULL) STRICT;
INSERT INTO state VALUES (0, 0);

-- `body`: model::suspension::Suspension as JSON. `ended`: milliseconds since 1970, NULL while it is in force.
CREATE TABLE suspensions (
  id     TEXT PRIMARY KEY NOT NULL,
  tenant TEXT NOT NULL,
  ended  INTEGER,
  body   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX of_tenant ON suspensions (tenant, id);
CREATE INDEX by_end ON suspensions (ended);
