-- From usage_stage into usage_record, and the sums of what was really inserted into the rollups: one
-- statement with roll_up.sql, so the sums are exact after every commit, replays included.
WITH changed AS (
    INSERT INTO usage_record
    SELECT * FROM usage_stage ORDER BY user_id, id
    ON CONFLICT DO NOTHING
    RETURNING user_id, created_at, coalesce(token_id, 0) AS token_id, coalesce(model_id, 0) AS model_id,
        coalesce(group_id, 0) AS group_id, type, status, cause, input_tokens, output_tokens, cached_tokens, cost,
        1 AS sign
),
