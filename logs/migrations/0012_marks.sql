-- Marks of records (logs/models/marks.py): a digest of a key and a value, by month as the records are.
CREATE TABLE usage_mark (
    digest bigint NOT NULL,
    user_id integer NOT NULL,
    id uuid NOT NULL,
    -- The newest of a person's records with a mark, and whether one record has it.
    PRIMARY KEY (user_id, digest, id)
) PARTITION BY RANGE (id);
CREATE TABLE usage_mark_default PARTITION OF usage_mark DEFAULT;
-- The newest of everybody's records with a mark.
CREATE INDEX usage_mark_everyone ON usage_mark (digest, id, user_id);
