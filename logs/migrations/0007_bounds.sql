-- Of each sum, what no record in it exceeds (logs/rollups/bounds.py). NULL: none of them has such a value. What is
-- not known is the most that a record may have: of the sums that are here already, until a job has read their
-- records; and of what a process of the version before adds, hence the defaults stay.
ALTER TABLE usage_hour_folded
    ADD COLUMN max_cost numeric(24, 12) DEFAULT 999999999999.999999999999,
    ADD COLUMN max_duration_ms integer DEFAULT 2147483647,
    ADD COLUMN max_tokens bigint DEFAULT 4294967294;
ALTER TABLE usage_day_folded
    ADD COLUMN max_cost numeric(24, 12) DEFAULT 999999999999.999999999999,
    ADD COLUMN max_duration_ms integer DEFAULT 2147483647,
    ADD COLUMN max_tokens bigint DEFAULT 4294967294;
ALTER TABLE usage_total_hour_folded
    ADD COLUMN max_cost numeric(24, 12) DEFAULT 999999999999.999999999999,
    ADD COLUMN max_duration_ms integer DEFAULT 2147483647,
    ADD COLUMN max_tokens bigint DEFAULT 4294967294;
ALTER TABLE usage_total_day_folded
    ADD COLUMN max_cost numeric(24, 12) DEFAULT 999999999999.999999999999,
    ADD COLUMN max_duration_ms integer DEFAULT 2147483647,
    ADD COLUMN max_tokens bigint DEFAULT 4294967294;
ALTER TABLE usage_pending
    ADD COLUMN max_cost numeric(24, 12) DEFAULT 999999999999.999999999999,
    ADD COLUMN max_duration_ms integer DEFAULT 2147483647,
    ADD COLUMN max_tokens bigint DEFAULT 4294967294;

CREATE OR REPLACE VIEW usage_hour AS
SELECT user_id, start, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens
FROM usage_hour_folded
UNION ALL
SELECT user_id, start, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens
FROM usage_pending;

CREATE OR REPLACE VIEW usage_day AS
SELECT user_id, start, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens
FROM usage_day_folded
UNION ALL
SELECT user_id, day, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens
FROM usage_pending;

CREATE OR REPLACE VIEW usage_total_hour AS
SELECT start, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost, max_cost, max_duration_ms, max_tokens
FROM usage_total_hour_folded
UNION ALL
SELECT start, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost, max_cost, max_duration_ms, max_tokens
FROM usage_pending;

CREATE OR REPLACE VIEW usage_total_day AS
SELECT start, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost, max_cost, max_duration_ms, max_tokens
FROM usage_total_day_folded
UNION ALL
SELECT day, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost, max_cost, max_duration_ms, max_tokens
FROM usage_pending;

-- The UTC days whose sums have no bounds yet.
CREATE TABLE usage_unbounded_day (start timestamptz PRIMARY KEY);
INSERT INTO usage_unbounded_day SELECT start FROM usage_total_day_folded UNION SELECT day FROM usage_pending;
