-- One row: counts up with every edit.
CREATE TABLE state (version INTEGER NOT NULL) STRICT;
INSERT INTO state VALUES (0);

-- `private`: PKCS#8, NULL once the key is retired. `record`: what is published. Times: milliseconds since 1970. Words as in
-- model::signing.
CREATE TABLE keys (
  domain    TEXT NOT NULL,
  selector  TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  state     TEXT NOT NULL,
  record    TEXT NOT NULL,
  private   BLOB,
  created   INTEGER NOT NULL,
  activated INTEGER,
  retired   INTEGER,
  PRIMARY KEY (domain, selector)
) STRICT;
CREATE UNIQUE INDEX one_active ON keys (domain, algorithm) WHERE state = 'active';
