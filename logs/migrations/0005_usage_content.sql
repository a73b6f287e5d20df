-- Under which policy a record's content came. A nullable column without a default: no partition is rewritten.
ALTER TABLE usage_record ADD COLUMN content smallint;

-- Content of records, by day: what has expired goes with its partition. No index but the key: content is only
-- ever read beside its record.
CREATE TABLE usage_content (
    id uuid NOT NULL,
    user_id integer NOT NULL,
    input_bytes integer,
    output_bytes integer,
    level smallint NOT NULL,
    is_truncated boolean NOT NULL,
    key_id text NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT usage_content_pkey PRIMARY KEY (user_id, id)
) PARTITION BY RANGE (id);
-- Encrypted bytes do not compress a second time.
ALTER TABLE usage_content ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE usage_content_default PARTITION OF usage_content DEFAULT;
