-- Rollup rows that a completion left without any record. Totals are by shard: one that took a record away is
-- kept beside the one that holds it.
WITH periods AS (
    SELECT user_id, date_trunc('hour', created_at, 'UTC') AS hour, date_trunc('day', created_at, 'UTC') AS day
    FROM unnest(%(users)s::integer[], %(times)s::timestamptz[]) AS completed (user_id, created_at)
),
hours AS (
    DELETE FROM usage_hour
    USING periods
    WHERE usage_hour.user_id = periods.user_id AND usage_hour.start = periods.hour AND usage_hour.records = 0
)
DELETE FROM usage_day
USING periods
WHERE usage_day.user_id = periods.user_id AND usage_day.start = periods.day AND usage_day.records = 0
