-- Everybody's minutes of one UTC day, counted from its records (logs/rollups/minute_sums.py). What waits to be folded
-- in is of these records too, and will be added: it is taken off. One statement, so that both are of one moment.
INSERT INTO usage_total_minute_folded (start, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost)
SELECT start, type, status, cause, sum(records), sum(unpriced), sum(input_tokens), sum(output_tokens),
    sum(cached_tokens), sum(cost)
FROM (
    SELECT date_trunc('minute', created_at, 'UTC') AS start, type, status, cause, count(*) AS records,
        count(*) - count(cost) AS unpriced, sum(input_tokens::bigint) AS input_tokens,
        sum(output_tokens::bigint) AS output_tokens, sum(cached_tokens::bigint) AS cached_tokens,
        coalesce(sum(cost), 0) AS cost
    FROM usage_record
    WHERE id >= %(first)s AND id < %(last)s AND created_at >= %(day)s AND created_at < %(end)s
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT start, type, status, cause, -records, -unpriced, -input_tokens, -output_tokens, -cached_tokens, -cost
    FROM usage_minute_pending
    WHERE start >= %(day)s AND start < %(end)s
) AS counted
GROUP BY start, type, status, cause
