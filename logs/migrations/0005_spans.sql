-- Further IDs of records: a digest of each, by month as the records are (logs/models/further_ids.py).
CREATE TABLE usage_further_id (
    digest bigint NOT NULL,
    user_id integer NOT NULL,
    id uuid NOT NULL,
    PRIMARY KEY (digest, id)
) PARTITION BY RANGE (id);
CREATE TABLE usage_further_id_default PARTITION OF usage_further_id DEFAULT;
