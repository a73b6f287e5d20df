-- What waits in usage_pending goes into the rollups, so much at a time; one process at a time (logs/rollups/pending.py).
-- Answers how many rows went, and the hours of users in which a sum came down to no record.
WITH pending AS (
    DELETE FROM usage_pending
    WHERE ctid = ANY (ARRAY (SELECT ctid FROM usage_pending LIMIT %(most)s))
    RETURNING *
),
hours AS (
    INSERT INTO usage_hour_folded AS kept (user_id, start, token_id, model_id, group_id, type, status, cause, records,
        unpriced, input_tokens, output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens)
    SELECT user_id, start, token_id, model_id, group_id, type, status, cause, sum(records), sum(unpriced),
        sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost), max(max_cost), max(max_duration_ms),
        max(max_tokens)
    FROM pending
    GROUP BY user_id, start, token_id, model_id, group_id, type, status, cause
    ORDER BY user_id, start, token_id, model_id, group_id, type, status, cause
    ON CONFLICT (user_id, start, token_id, model_id, group_id, type, status, cause) DO UPDATE SET
        records = kept.records + excluded.records,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost = kept.cost + excluded.cost,
        max_cost = greatest(kept.max_cost, excluded.max_cost),
        max_duration_ms = greatest(kept.max_duration_ms, excluded.max_duration_ms),
        max_tokens = greatest(kept.max_tokens, excluded.max_tokens)
    RETURNING user_id, start, records
),
days AS (
    INSERT INTO usage_day_folded AS kept (user_id, start, token_id, model_id, group_id, type, status, cause, records,
        unpriced, input_tokens, output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens)
    SELECT user_id, day, token_id, model_id, group_id, type, status, cause, sum(records), sum(unpriced),
        sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost), max(max_cost), max(max_duration_ms),
        max(max_tokens)
    FROM pending
    GROUP BY user_id, day, token_id, model_id, group_id, type, status, cause
    ORDER BY user_id, day, token_id, model_id, group_id, type, status, cause
    ON CONFLICT (user_id, start, token_id, model_id, group_id, type, status, cause) DO UPDATE SET
        records = kept.records + excluded.records,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost = kept.cost + excluded.cost,
        max_cost = greatest(kept.max_cost, excluded.max_cost),
        max_duration_ms = greatest(kept.max_duration_ms, excluded.max_duration_ms),
        max_tokens = greatest(kept.max_tokens, excluded.max_tokens)
),
total_hours AS (
    INSERT INTO usage_total_hour_folded AS kept (start, model_id, group_id, type, status, cause, records,
        unpriced, input_tokens, output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens)
    SELECT start, model_id, group_id, type, status, cause, sum(records), sum(unpriced),
        sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost), max(max_cost), max(max_duration_ms),
        max(max_tokens)
    FROM pending
    GROUP BY start, model_id, group_id, type, status, cause
    ORDER BY start, model_id, group_id, type, status, cause
    ON CONFLICT (start, model_id, group_id, type, status, cause) DO UPDATE SET
        records = kept.records + excluded.records,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost = kept.cost + excluded.cost,
        max_cost = greatest(kept.max_cost, excluded.max_cost),
        max_duration_ms = greatest(kept.max_duration_ms, excluded.max_duration_ms),
        max_tokens = greatest(kept.max_tokens, excluded.max_tokens)
),
total_days AS (
    INSERT INTO usage_total_day_folded AS kept (start, model_id, group_id, type, status, cause, records,
        unpriced, input_tokens, output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens)
    SELECT day, model_id, group_id, type, status, cause, sum(records), sum(unpriced),
        sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost), max(max_cost), max(max_duration_ms),
        max(max_tokens)
    FROM pending
    GROUP BY day, model_id, group_id, type, status, cause
    ORDER BY day, model_id, group_id, type, status, cause
    ON CONFLICT (start, model_id, group_id, type, status, cause) DO UPDATE SET
        records = kept.records + excluded.records,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost = kept.cost + excluded.cost,
        max_cost = greatest(kept.max_cost, excluded.max_cost),
        max_duration_ms = greatest(kept.max_duration_ms, excluded.max_duration_ms),
        max_tokens = greatest(kept.max_tokens, excluded.max_tokens)
),
-- What was counted before these records is to be counted anew (logs/rollups/busy_hours.py).
charts AS (
    UPDATE usage_traffic_hour AS kept
    SET is_stale = true
    FROM (SELECT user_id, start FROM pending UNION SELECT 0, start FROM pending) AS touched
    WHERE kept.user_id = touched.user_id AND kept.start = touched.start
),
-- The same of the percentiles' hours (unit 0) and days (logs/rollups/latencies.py), and of what is added up of them,
-- six hours and weeks from Monday (logs/rollups/latency_blocks.py).
latencies AS (
    UPDATE usage_latency AS kept
    SET is_stale = true
    FROM (
        SELECT owner AS user_id, unit, period.start
        FROM pending
        CROSS JOIN LATERAL (VALUES (user_id), (0)) AS owners (owner)
        CROSS JOIN LATERAL (
            VALUES (0, pending.start), (1, day), (2, date_bin('6 hours', pending.start, '2001-01-01 00:00Z')),
                (3, date_bin('7 days', day, '2001-01-01 00:00Z'))
        ) AS period (unit, start)
        GROUP BY 1, 2, 3
    ) AS touched
    WHERE kept.user_id = touched.user_id AND kept.unit = touched.unit AND kept.start = touched.start AND NOT kept.is_stale
),
-- What a process of the version before appended has brought no minutes (logs/rollups/minute_sums.py).
uncounted AS (
    INSERT INTO usage_uncounted_day SELECT DISTINCT day FROM pending WHERE NOT has_minutes
    ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM pending), coalesce(array_agg(user_id), '{}'), coalesce(array_agg(start), '{}')
FROM hours
WHERE records = 0
