-- The rest of a statement that begins with "WITH changed AS (...)": what these rows add to the sums (sign 1) and
-- take from them (sign -1) waits to be folded in. Bounds only ever grow: what goes leaves them as they are. Answers
-- how many it added.
appended AS (
    INSERT INTO usage_pending (start, day, user_id, token_id, model_id, group_id, type, status, cause, records,
        unpriced, input_tokens, output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens, has_minutes)
    SELECT date_trunc('hour', created_at, 'UTC') AS start, date_trunc('day', created_at, 'UTC') AS day, user_id,
        token_id, model_id, group_id, type, status, cause, sum(sign),
        coalesce(sum(sign) FILTER (WHERE cost IS NULL), 0), sum(sign * input_tokens), sum(sign * output_tokens),
        sum(sign * cached_tokens), coalesce(sum(sign * cost), 0),
        max(cost) FILTER (WHERE sign > 0), max(duration_ms) FILTER (WHERE sign > 0),
        max(input_tokens::bigint + output_tokens) FILTER (WHERE sign > 0), true
    FROM changed
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
),
minutes AS (
    INSERT INTO usage_minute_pending (start, type, status, cause, records, unpriced, input_tokens, output_tokens,
        cached_tokens, cost)
    SELECT date_trunc('minute', created_at, 'UTC'), type, status, cause, sum(sign),
        coalesce(sum(sign) FILTER (WHERE cost IS NULL), 0), sum(sign * input_tokens), sum(sign * output_tokens),
        sum(sign * cached_tokens), coalesce(sum(sign * cost), 0)
    FROM changed
    GROUP BY 1, 2, 3, 4
)
SELECT coalesce(sum(sign) FILTER (WHERE sign > 0), 0) FROM changed
