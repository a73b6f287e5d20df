-- Counts how long the calls of some periods took (logs/rollups/latencies.py): of users, and of everybody (user 0),
-- hours or days, all within one stretch of time, whose records are read once. Everybody's are also divided by one
-- column alone, without speeds: by model (user -1), group (-2) and status (-3). Each period gets its row, with or without values. Whoever runs this holds the lock of folding, and has deleted what stood there.
WITH wanted AS (
    SELECT * FROM unnest(%(users)s::integer[], %(starts)s::timestamptz[]) AS wanted (user_id, start)
),
found AS MATERIALIZED (
    SELECT user_id, start, token_id, model_id, group_id, type, status, cause, measure, {bucket} AS bucket, count(*) AS n
    FROM (
        SELECT user_id, date_trunc(%(unit)s, created_at, 'UTC') AS start, coalesce(token_id, 0) AS token_id,
            coalesce(model_id, 0) AS model_id, coalesce(group_id, 0) AS group_id, type, status, cause, measure, value
        FROM usage_record
        CROSS JOIN LATERAL (VALUES {measures}) AS measured (measure, value)
        WHERE id >= %(first)s AND id < %(last)s AND created_at >= %(begin)s AND created_at < %(end)s
            AND type = ANY (%(calls)s) AND value IS NOT NULL
    ) AS calls
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
),
counted AS (
    SELECT found.*
    FROM found
    JOIN wanted USING (user_id, start)
    UNION ALL
    SELECT 0, start, 0, model_id, group_id, type, status, cause, measure, bucket, sum(n)::bigint
    FROM found
    JOIN wanted USING (start)
    WHERE wanted.user_id = 0
    GROUP BY start, model_id, group_id, type, status, cause, measure, bucket
    UNION ALL
    SELECT -1, start, 0, model_id, 0, 0, 0, 0, measure, bucket, sum(n)::bigint
    FROM found
    JOIN wanted USING (start)
    WHERE wanted.user_id = 0 AND measure <> {speed}
    GROUP BY start, model_id, measure, bucket
    UNION ALL
    SELECT -2, start, 0, 0, group_id, 0, 0, 0, measure, bucket, sum(n)::bigint
    FROM found
    JOIN wanted USING (start)
    WHERE wanted.user_id = 0 AND measure <> {speed}
    GROUP BY start, group_id, measure, bucket
    UNION ALL
    SELECT -3, start, 0, 0, 0, 0, status, 0, measure, bucket, sum(n)::bigint
    FROM found
    JOIN wanted USING (start)
    WHERE wanted.user_id = 0 AND measure <> {speed}
    GROUP BY start, status, measure, bucket
),
parts AS (
    INSERT INTO usage_latency_part (user_id, unit, start, token_id, model_id, group_id, type, status, cause, durations,
        ttfts, speeds)
    SELECT user_id, %(number)s, start, token_id, model_id, group_id, type, status, cause, {sketches}
    FROM counted
    CROSS JOIN LATERAL {parts}
    GROUP BY user_id, start, token_id, model_id, group_id, type, status, cause
)
INSERT INTO usage_latency (user_id, unit, start, is_stale, durations, ttfts, speeds)
SELECT wanted.user_id, %(number)s, wanted.start, false, {sketches}
FROM wanted
LEFT JOIN (
    SELECT user_id, start, measure, bucket, sum(n)::bigint AS n
    FROM counted
    GROUP BY user_id, start, measure, bucket
) AS counted USING (user_id, start)
LEFT JOIN LATERAL {parts} ON true
GROUP BY wanted.user_id, wanted.start
