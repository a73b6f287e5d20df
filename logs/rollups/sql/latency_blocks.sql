-- Adds up the kept periods that make a longer one (logs/rollups/latency_blocks.py): of some users, one stretch of
-- time, whose parts are all kept and hold. Whoever runs this holds the lock of folding, and has deleted what stood
-- there. Everybody's parts stand under users of their own (logs/rollups/latencies.py).
WITH parts AS (
    SELECT user_id, token_id, model_id, group_id, type, status, cause, measure, {bucket} AS bucket, sum({count})::bigint AS n
    FROM usage_latency_part
    CROSS JOIN LATERAL ({codes}) AS codes (measure, code)
    WHERE user_id = ANY (%(owners)s) AND unit = %(of)s AND start >= %(start)s AND start < %(past)s
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
),
added AS (
    INSERT INTO usage_latency_part (user_id, unit, start, token_id, model_id, group_id, type, status, cause, durations,
        ttfts, speeds)
    SELECT user_id, %(unit)s, %(start)s, token_id, model_id, group_id, type, status, cause, {sketches}
    FROM parts
    CROSS JOIN LATERAL {parts}
    GROUP BY user_id, token_id, model_id, group_id, type, status, cause
)
INSERT INTO usage_latency (user_id, unit, start, is_stale, durations, ttfts, speeds)
SELECT wanted.user_id, %(unit)s, %(start)s, false, {sketches}
FROM unnest(%(users)s::integer[]) AS wanted (user_id)
LEFT JOIN (
    SELECT user_id, measure, bucket, sum(n)::bigint AS n
    FROM parts
    GROUP BY user_id, measure, bucket
) AS whole USING (user_id)
LEFT JOIN LATERAL {parts} ON true
GROUP BY wanted.user_id
