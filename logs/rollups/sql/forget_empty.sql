-- Sums that came down to no record, in these hours of these users, and in their days.
WITH emptied AS (
    SELECT user_id, start AS hour, date_trunc('day', start, 'UTC') AS day
    FROM unnest(%(users)s::integer[], %(starts)s::timestamptz[]) AS emptied (user_id, start)
),
hours AS (
    DELETE FROM usage_hour_folded AS kept
    USING emptied
    WHERE kept.user_id = emptied.user_id AND kept.start = emptied.hour
        AND kept.records = 0 AND kept.unpriced = 0 AND kept.input_tokens = 0 AND kept.output_tokens = 0 AND kept.cached_tokens = 0 AND kept.cost = 0
),
days AS (
    DELETE FROM usage_day_folded AS kept
    USING emptied
    WHERE kept.user_id = emptied.user_id AND kept.start = emptied.day
        AND kept.records = 0 AND kept.unpriced = 0 AND kept.input_tokens = 0 AND kept.output_tokens = 0 AND kept.cached_tokens = 0 AND kept.cost = 0
),
total_hours AS (
    DELETE FROM usage_total_hour_folded AS kept
    USING emptied
    WHERE kept.start = emptied.hour
        AND kept.records = 0 AND kept.unpriced = 0 AND kept.input_tokens = 0 AND kept.output_tokens = 0 AND kept.cached_tokens = 0 AND kept.cost = 0
)
DELETE FROM usage_total_day_folded AS kept
USING emptied
WHERE kept.start = emptied.day
        AND kept.records = 0 AND kept.unpriced = 0 AND kept.input_tokens = 0 AND kept.output_tokens = 0 AND kept.cached_tokens = 0 AND kept.cost = 0
