-- One row. `version` counts up with every edit of registered accounts; `written`: when the last batch was, in milliseconds since 1970.
CREATE TABLE state (version INTEGER NOT NULL, written INTEGER) STRICT;
INSERT INTO state VALUES (0, NULL);

-- Addresses in lower case, without what follows a plus. Days: since 1970 in the tenant's zone; NULL: never seen.
CREATE TABLE accounts (
  tenant     TEXT NOT NULL,
  address    TEXT NOT NULL,
  registered INTEGER NOT NULL,
  first      INTEGER,
  last       INTEGER,
  PRIMARY KEY (tenant, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
  tenant  TEXT NOT NULL,
  alias   TEXT NOT NULL,
  account TEXT NOT NULL,
  PRIMARY KEY (tenant, alias)
) STRICT, WITHOUT ROWID;

-- The numbers at the end of a day; never changed.
CREATE TABLE days (
  tenant     TEXT NOT NULL,
  day        INTEGER NOT NULL,
  accounts   INTEGER NOT NULL,
  registered INTEGER NOT NULL,
  observed   INTEGER NOT NULL,
  contracted INTEGER,
  PRIMARY KEY (tenant, day)
) STRICT, WITHOUT ROWID;

-- What administrators were told last: percent of the number, and a phase by its name.
CREATE TABLE told (tenant TEXT PRIMARY KEY NOT NULL, level INTEGER NOT NULL, phase TEXT) STRICT, WITHOUT ROWID;

-- When a tenant's registered accounts were edited last.
CREATE TABLE edits (tenant TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Tenants whose data was erased: what of, and a hash over this record and the one before.
CREATE TABLE purges (
  number INTEGER PRIMARY KEY NOT NULL,
  record TEXT NOT NULL,
  hash   TEXT NOT NULL
) STRICT;
