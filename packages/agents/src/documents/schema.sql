-- The full-text index of one documents folder. Derived: deleting the file costs the time to build it again.

PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA temp_store = FILE;

-- One row for each document: `stamp` tells without reading whether it changed, `sha256` tells for sure.
CREATE TABLE IF NOT EXISTS file (
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,
  stamp TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  readable INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS passage (
  id INTEGER PRIMARY KEY,
  file INTEGER NOT NULL REFERENCES file (id),
  line INTEGER NOT NULL,
  kind TEXT NOT NULL,
  text TEXT NOT NULL,
  heading TEXT NOT NULL,
  lead TEXT NOT NULL,
  trail TEXT NOT NULL,
  section INTEGER NOT NULL,
  position INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS passage_by_file ON passage (file);

CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
  text, heading, trail,
  content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE IF NOT EXISTS vocabulary USING fts5vocab (words, col);

-- Which documents the walk under way has met; the others are gone from the folder.
CREATE TEMP TABLE IF NOT EXISTS met (path TEXT PRIMARY KEY) WITHOUT ROWID;
