-- The rest of a statement that begins with "WITH changed AS (...)": the rows that it adds to the sums (sign 1)
-- and takes from them (sign -1). Answers how many it added.
--
-- Every upsert is sorted by its key, and the tables come in one order: parallel batches that touch the same
-- rows wait for each other instead of deadlocking.
hourly AS (
    SELECT user_id, date_trunc('hour', created_at, 'UTC') AS start, token_id, model_id, group_id, type, status,
        cause, sum(sign) AS records, coalesce(sum(sign) FILTER (WHERE cost IS NULL), 0) AS unpriced,
        sum(sign * input_tokens) AS input_tokens, sum(sign * output_tokens) AS output_tokens,
        sum(sign * cached_tokens) AS cached_tokens, coalesce(sum(sign * cost), 0) AS cost
    FROM changed
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
),
hours AS (
    INSERT INTO usage_hour AS kept (user_id, start, token_id, model_id, group_id, type, status, cause, records,
        unpriced, input_tokens, output_tokens, cached_tokens, cost)
    SELECT * FROM hourly
    ORDER BY user_id, start, token_id, model_id, group_id, type, status, cause
    ON CONFLICT (user_id, start, token_id, model_id, group_id, type, status, cause) DO UPDATE SET
        records = kept.records + excluded.records,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost = kept.cost + excluded.cost
),
days AS (
    INSERT INTO usage_day AS kept (user_id, start, token_id, model_id, group_id, type, status, cause, records,
        unpriced, input_tokens, output_tokens, cached_tokens, cost)
    SELECT user_id, date_trunc('day', start, 'UTC') AS day, token_id, model_id, group_id, type, status, cause,
        sum(records), sum(unpriced), sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost)
    FROM hourly
    GROUP BY user_id, day, token_id, model_id, group_id, type, status, cause
    ORDER BY user_id, day, token_id, model_id, group_id, type, status, cause
    ON CONFLICT (user_id, start, token_id, model_id, group_id, type, status, cause) DO UPDATE SET
        records = kept.records + excluded.records,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost = kept.cost + excluded.cost
),
total_hours AS (
    INSERT INTO usage_total_hour AS kept (start, shard, model_id, group_id, type, status, cause, records,
        unpriced, input_tokens, output_tokens, cached_tokens, cost)
    SELECT start, pg_backend_pid() % 8 AS shard, model_id, group_id, type, status, cause,
        sum(records), sum(unpriced), sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost)
    FROM hourly
    GROUP BY start, model_id, group_id, type, status, cause
    ORDER BY start, model_id, group_id, type, status, cause
    ON CONFLICT (start, shard, model_id, group_id, type, status, cause) DO UPDATE SET
        records = kept.records + excluded.records,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost = kept.cost + excluded.cost
),
total_days AS (
    INSERT INTO usage_total_day AS kept (start, shard, model_id, group_id, type, status, cause, records,
        unpriced, input_tokens, output_tokens, cached_tokens, cost)
    SELECT date_trunc('day', start, 'UTC') AS day, pg_backend_pid() % 8 AS shard, model_id, group_id, type,
        status, cause, sum(records), sum(unpriced), sum(input_tokens), sum(output_tokens), sum(cached_tokens),
        sum(cost)
    FROM hourly
    GROUP BY day, model_id, group_id, type, status, cause
    ORDER BY day, model_id, group_id, type, status, cause
    ON CONFLICT (start, shard, model_id, group_id, type, status, cause) DO UPDATE SET
        records = kept.records + excluded.records,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost = kept.cost + excluded.cost
)
SELECT coalesce(sum(sign) FILTER (WHERE sign > 0), 0) FROM changed
