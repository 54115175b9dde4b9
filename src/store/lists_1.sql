-- One row; `horizon`: the oldest version from which changes can still be told.
CREATE TABLE state (version INTEGER NOT NULL, horizon INTEGER NOT NULL, next_id INTEGER NOT NULL) STRICT;
INSERT INTO state VALUES (0, 0, 1);

-- Number 0 is the operator.
CREATE TABLE tenants (
  number  INTEGER PRIMARY KEY NOT NULL,
  id      TEXT UNIQUE NOT NULL,
  entries INTEGER NOT NULL
) STRICT;
INSERT INTO tenants VALUES (0, '', 0);

-- What the index is compiled from, in the order in which it is read at start, and nothing besides. `name`: domain or
-- mailbox; `bound`: network or ''; `expires`: seconds since 1970 or 0. Codes as in model::lists.
CREATE TABLE entries (
  tenant  INTEGER NOT NULL,
  scope   INTEGER NOT NULL,
  name    TEXT NOT NULL,
  kind    INTEGER NOT NULL,
  value   TEXT NOT NULL,
  action  INTEGER NOT NULL,
  bound   TEXT NOT NULL,
  id      INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (tenant, scope, name, kind, value, action, bound)
) STRICT, WITHOUT ROWID;

-- What people wrote about an entry, and the way back to it. `created`: seconds since 1970.
CREATE TABLE notes (
  id      INTEGER PRIMARY KEY NOT NULL,
  tenant  INTEGER NOT NULL,
  scope   INTEGER NOT NULL,
  name    TEXT NOT NULL,
  kind    INTEGER NOT NULL,
  value   TEXT NOT NULL,
  action  INTEGER NOT NULL,
  bound   TEXT NOT NULL,
  owner   TEXT NOT NULL,
  reason  TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT;

-- `last`: milliseconds since 1970.
CREATE TABLE hits (id INTEGER PRIMARY KEY NOT NULL, count INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;

-- Entries put or removed lately, for running nodes.
CREATE TABLE changes (
  version INTEGER NOT NULL,
  id      INTEGER NOT NULL,
  tenant  INTEGER NOT NULL,
  PRIMARY KEY (version, id)
) STRICT, WITHOUT ROWID;

-- How far an import has come, by the hash of its file.
CREATE TABLE imports (file BLOB PRIMARY KEY NOT NULL, row INTEGER NOT NULL) STRICT, WITHOUT ROWID;
