-- Sums wait in usage_pending, which ingest only appends to, until they are folded into the rollups by one process
-- at a time. Readers see both through views, so the sums are exact after every commit.

-- The columns that the index includes, in an order without padding.
ALTER TABLE usage_record DROP CONSTRAINT usage_record_pkey;
ALTER TABLE usage_record ADD CONSTRAINT usage_record_pkey PRIMARY KEY (user_id, id)
    INCLUDE (token_id, created_at, model_id, group_id, input_tokens, output_tokens, type, status, cause);

-- IDs are looked up whole: a hash of them is enough, and half the size. Not so of the provider's, which few records
-- have: a hash index is as large as its table wants, whatever its condition leaves.
DROP INDEX usage_record_request_id;
CREATE INDEX usage_record_request_id ON usage_record USING hash (request_id);

ALTER TABLE usage_hour RENAME TO usage_hour_folded;
ALTER TABLE usage_hour_folded RENAME CONSTRAINT usage_hour_pkey TO usage_hour_folded_pkey;
ALTER TABLE usage_day RENAME TO usage_day_folded;
ALTER TABLE usage_day_folded RENAME CONSTRAINT usage_day_pkey TO usage_day_folded_pkey;

-- One process folds at a time: the totals need no shards against lock contention any more.
CREATE TABLE usage_total_hour_folded (
    start timestamptz NOT NULL,
    model_id integer NOT NULL,
    group_id integer NOT NULL,
    type smallint NOT NULL,
    status smallint NOT NULL,
    cause smallint NOT NULL,
    records bigint NOT NULL,
    unpriced bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost numeric(36, 12) NOT NULL,
    PRIMARY KEY (start, model_id, group_id, type, status, cause)
);
CREATE TABLE usage_total_day_folded (
    LIKE usage_total_hour_folded,
    PRIMARY KEY (start, model_id, group_id, type, status, cause)
);
INSERT INTO usage_total_hour_folded
SELECT start, model_id, group_id, type, status, cause, sum(records), sum(unpriced), sum(input_tokens),
    sum(output_tokens), sum(cached_tokens), sum(cost)
FROM usage_total_hour
GROUP BY start, model_id, group_id, type, status, cause
HAVING sum(records) <> 0;
INSERT INTO usage_total_day_folded
SELECT start, model_id, group_id, type, status, cause, sum(records), sum(unpriced), sum(input_tokens),
    sum(output_tokens), sum(cached_tokens), sum(cost)
FROM usage_total_day
GROUP BY start, model_id, group_id, type, status, cause
HAVING sum(records) <> 0;
DROP TABLE usage_total_hour, usage_total_day;

-- Sums of costs that each just fit must fit too.
ALTER TABLE usage_hour_folded ALTER COLUMN cost TYPE numeric(36, 12);
ALTER TABLE usage_day_folded ALTER COLUMN cost TYPE numeric(36, 12);

-- The running hour's and day's rows are updated in place; most others never again.
ALTER TABLE usage_hour_folded SET (fillfactor = 90);
ALTER TABLE usage_day_folded SET (fillfactor = 90);
ALTER TABLE usage_total_hour_folded SET (fillfactor = 90);
ALTER TABLE usage_total_day_folded SET (fillfactor = 90);

-- What transactions added to the sums, and took from them, since the last fold. Without a unique key: writers
-- never wait for each other.
CREATE TABLE usage_pending (
    start timestamptz NOT NULL,
    day timestamptz NOT NULL,
    user_id integer NOT NULL,
    token_id integer NOT NULL,
    model_id integer NOT NULL,
    group_id integer NOT NULL,
    type smallint NOT NULL,
    status smallint NOT NULL,
    cause smallint NOT NULL,
    records bigint NOT NULL,
    unpriced bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost numeric(36, 12) NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000);
-- A user's sums. All users' read the whole table: it is kept small.
CREATE INDEX usage_pending_user ON usage_pending (user_id, start);

CREATE VIEW usage_hour AS
SELECT user_id, start, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost
FROM usage_hour_folded
UNION ALL
SELECT user_id, start, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost
FROM usage_pending;

CREATE VIEW usage_day AS
SELECT user_id, start, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost
FROM usage_day_folded
UNION ALL
SELECT user_id, day, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost
FROM usage_pending;

CREATE VIEW usage_total_hour AS
SELECT start, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost
FROM usage_total_hour_folded
UNION ALL
SELECT start, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost
FROM usage_pending;

CREATE VIEW usage_total_day AS
SELECT start, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost
FROM usage_total_day_folded
UNION ALL
SELECT day, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost
FROM usage_pending;

-- The chart of busy hours that are over: counted once from the records, and anew when one of them changes.
CREATE TABLE usage_traffic_hour (
    user_id integer NOT NULL,
    start timestamptz NOT NULL,
    requests bigint NOT NULL,
    errors bigint NOT NULL,
    rate_limited bigint NOT NULL,
    tokens bigint NOT NULL,
    peak_rpm bigint NOT NULL,
    peak_tpm bigint NOT NULL,
    peak_rpm_minute smallint NOT NULL,
    peak_tpm_minute smallint NOT NULL,
    is_stale boolean NOT NULL,
    PRIMARY KEY (user_id, start)
);
-- What is to be counted anew.
CREATE INDEX usage_traffic_hour_stale ON usage_traffic_hour (user_id, start) WHERE is_stale;
