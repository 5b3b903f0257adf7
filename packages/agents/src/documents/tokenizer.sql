-- Reads words as the index does: the same tokenizer, in memory, for a handful of texts at a time.

CREATE VIRTUAL TABLE sample USING fts5 (
  text, heading, lead, trail, before, after,
  content = '', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE token USING fts5vocab (sample, instance);
