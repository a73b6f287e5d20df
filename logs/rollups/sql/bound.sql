-- The bounds of one UTC day's sums, read from its records (logs/rollups/bounds.py). A sum without records, since it
-- outlives them, has none. Whoever runs this holds the lock of folding: what is folded in has its records here.
WITH found AS (
    SELECT user_id, date_trunc('hour', created_at, 'UTC') AS start, coalesce(token_id, 0) AS token_id,
        coalesce(model_id, 0) AS model_id, coalesce(group_id, 0) AS group_id, type, status, cause,
        max(cost) AS max_cost, max(duration_ms) AS max_duration_ms,
        max(input_tokens::bigint + output_tokens) AS max_tokens
    FROM usage_record
    WHERE id >= %(first)s AND id < %(last)s AND created_at >= %(day)s AND created_at < %(end)s
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
),
hours AS (
    UPDATE usage_hour_folded AS kept
    SET max_cost = known.max_cost, max_duration_ms = known.max_duration_ms, max_tokens = known.max_tokens
    FROM (
        SELECT folded.user_id, folded.start, folded.token_id, folded.model_id, folded.group_id, folded.type, folded.status,
            folded.cause, found.max_cost, found.max_duration_ms, found.max_tokens
        FROM usage_hour_folded AS folded
        LEFT JOIN found USING (user_id, start, token_id, model_id, group_id, type, status, cause)
        WHERE folded.start >= %(day)s AND folded.start < %(end)s
    ) AS known
    WHERE (kept.user_id, kept.start, kept.token_id, kept.model_id, kept.group_id, kept.type, kept.status, kept.cause)
        = (known.user_id, known.start, known.token_id, known.model_id, known.group_id, known.type, known.status, known.cause)
),
days AS (
    UPDATE usage_day_folded AS kept
    SET max_cost = known.max_cost, max_duration_ms = known.max_duration_ms, max_tokens = known.max_tokens
    FROM (
        SELECT folded.user_id, folded.token_id, folded.model_id, folded.group_id, folded.type, folded.status, folded.cause,
            max(found.max_cost) AS max_cost, max(found.max_duration_ms) AS max_duration_ms,
            max(found.max_tokens) AS max_tokens
        FROM usage_day_folded AS folded
        LEFT JOIN found USING (user_id, token_id, model_id, group_id, type, status, cause)
        WHERE folded.start = %(day)s
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ) AS known
    WHERE kept.start = %(day)s AND (kept.user_id, kept.token_id, kept.model_id, kept.group_id, kept.type, kept.status,
        kept.cause) = (known.user_id, known.token_id, known.model_id, known.group_id, known.type, known.status, known.cause)
),
total_hours AS (
    UPDATE usage_total_hour_folded AS kept
    SET max_cost = known.max_cost, max_duration_ms = known.max_duration_ms, max_tokens = known.max_tokens
    FROM (
        SELECT folded.start, folded.model_id, folded.group_id, folded.type, folded.status, folded.cause,
            max(found.max_cost) AS max_cost, max(found.max_duration_ms) AS max_duration_ms,
            max(found.max_tokens) AS max_tokens
        FROM usage_total_hour_folded AS folded
        LEFT JOIN found USING (start, model_id, group_id, type, status, cause)
        WHERE folded.start >= %(day)s AND folded.start < %(end)s
        GROUP BY 1, 2, 3, 4, 5, 6
    ) AS known
    WHERE (kept.start, kept.model_id, kept.group_id, kept.type, kept.status, kept.cause)
        = (known.start, known.model_id, known.group_id, known.type, known.status, known.cause)
)
UPDATE usage_total_day_folded AS kept
SET max_cost = known.max_cost, max_duration_ms = known.max_duration_ms, max_tokens = known.max_tokens
FROM (
    SELECT folded.model_id, folded.group_id, folded.type, folded.status, folded.cause, max(found.max_cost) AS max_cost,
        max(found.max_duration_ms) AS max_duration_ms, max(found.max_tokens) AS max_tokens
    FROM usage_total_day_folded AS folded
    LEFT JOIN found USING (model_id, group_id, type, status, cause)
    WHERE folded.start = %(day)s
    GROUP BY 1, 2, 3, 4, 5
) AS known
WHERE kept.start = %(day)s AND (kept.model_id, kept.group_id, kept.type, kept.status, kept.cause)
    = (known.model_id, known.group_id, known.type, known.status, known.cause)
