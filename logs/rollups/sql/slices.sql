-- What filters leave of busy hours (logs/rollups/traffic_slices.py): of one user's, or everybody's. Each minute is
-- counted by what is filtered by, and each hour keeps its busiest.
WITH calls AS (
    SELECT date_trunc('minute', created_at, 'UTC') AS minute, coalesce(token_id, 0) AS token, coalesce(model_id, 0) AS model, status,
        count(*) AS requests, count(*) FILTER (WHERE status = %(error)s) AS errors,
        count(*) FILTER (WHERE cause = %(limited)s) AS rate_limited,
        sum(input_tokens::bigint + output_tokens)::bigint AS tokens
    FROM usage_record
    WHERE {mine} AND id >= %(first)s AND id < %(last)s AND created_at >= %(begin)s AND created_at < %(end)s
        AND type = ANY (%(calls)s)
    GROUP BY 1, 2, 3, 4
),
minutes AS (
    SELECT minute, {of} AS token_id,
        CASE grouping(model) WHEN 0 THEN model ELSE -1 END AS model_id,
        CASE grouping(status) WHEN 0 THEN status ELSE -1 END AS status, sum(requests)::bigint AS requests,
        sum(errors)::bigint AS errors, sum(rate_limited)::bigint AS rate_limited, sum(tokens)::bigint AS tokens
    FROM calls
    GROUP BY GROUPING SETS ({sets}(minute, model), (minute, status))
)
SELECT start, token_id, model_id, status, requests, errors, rate_limited, tokens, div(busiest, 100000000)::integer,
    div(heaviest, 100000000)::bigint, (mod(99999999 - mod(busiest, 100000000), 60))::smallint,
    (mod(99999999 - mod(heaviest, 100000000), 60))::smallint
FROM (
    SELECT date_trunc('hour', minute, 'UTC') AS start, token_id, model_id, status, sum(requests) AS requests,
        sum(errors) AS errors, sum(rate_limited) AS rate_limited, sum(tokens) AS tokens,
        max(requests::numeric * 100000000 + 99999999 - (date_part('epoch', minute) / 60)::bigint) AS busiest,
        max(tokens::numeric * 100000000 + 99999999 - (date_part('epoch', minute) / 60)::bigint) AS heaviest
    FROM minutes
    WHERE status IN (-1, %(error)s)
    GROUP BY 1, 2, 3, 4
) AS hours
