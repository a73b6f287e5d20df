-- What waits in usage_minute_pending goes into everybody's minutes, so much at a time (logs/rollups/pending.py). A
-- minute that came down to nothing goes with the next fold that touches it.
WITH pending AS (
    DELETE FROM usage_minute_pending
    WHERE ctid = ANY (ARRAY (SELECT ctid FROM usage_minute_pending LIMIT %(most)s))
    RETURNING *
)
INSERT INTO usage_total_minute_folded AS kept (start, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost)
SELECT start, type, status, cause, sum(records), sum(unpriced), sum(input_tokens), sum(output_tokens),
    sum(cached_tokens), sum(cost)
FROM pending
GROUP BY start, type, status, cause
ORDER BY start, type, status, cause
ON CONFLICT (start, type, status, cause) DO UPDATE SET
    records = kept.records + excluded.records,
    unpriced = kept.unpriced + excluded.unpriced,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    output_tokens = kept.output_tokens + excluded.output_tokens,
    cached_tokens = kept.cached_tokens + excluded.cached_tokens,
    cost = kept.cost + excluded.cost
