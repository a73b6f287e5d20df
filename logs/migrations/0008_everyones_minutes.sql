-- Everybody's sums by minute: the chart of all users, and the edges of their ranges (logs/rollups/minute_sums.py).
-- One row for each type, status and cause of a minute: few, however many users. As with the other sums, what a
-- transaction adds waits beside them and is seen at once.
CREATE TABLE usage_total_minute_folded (
    start timestamptz NOT NULL,
    type smallint NOT NULL,
    status smallint NOT NULL,
    cause smallint NOT NULL,
    records bigint NOT NULL,
    unpriced bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost numeric(36, 12) NOT NULL,
    PRIMARY KEY (start, type, status, cause)
) WITH (fillfactor = 90);

CREATE TABLE usage_minute_pending (LIKE usage_total_minute_folded)
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000);

CREATE VIEW usage_total_minute AS
SELECT start, type, status, cause, records, unpriced, input_tokens, output_tokens, cached_tokens, cost
FROM usage_total_minute_folded
UNION ALL
SELECT start, type, status, cause, records, unpriced, input_tokens, output_tokens, cached_tokens, cost
FROM usage_minute_pending;

-- Whether what waits brought its minutes along. A process of the version before brings none: its days are counted
-- from their records, as those are that are here already.
ALTER TABLE usage_pending ADD COLUMN has_minutes boolean NOT NULL DEFAULT false;

-- The UTC days whose minutes are not counted yet.
CREATE TABLE usage_uncounted_day (start timestamptz PRIMARY KEY);
INSERT INTO usage_uncounted_day SELECT start FROM usage_total_day_folded UNION SELECT day FROM usage_pending;

-- Everybody's sums by user or token, and the users who have a model in some hours.
CREATE INDEX usage_hour_folded_start ON usage_hour_folded (start, model_id);
CREATE INDEX usage_day_folded_start ON usage_day_folded (start, model_id);
