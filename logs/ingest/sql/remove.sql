-- Records go, and what they added to the rollups with them: one statement with append.sql.
WITH gone AS (
    DELETE FROM usage_record
    USING unnest(%s::integer[], %s::uuid[]) AS place (of_user, of_id)
    WHERE user_id = of_user AND id = of_id
    RETURNING user_id, created_at, token_id, model_id, group_id, type, status, cause, input_tokens, output_tokens,
        cached_tokens, cost, duration_ms
),
changed AS (
    SELECT user_id, created_at, coalesce(token_id, 0) AS token_id, coalesce(model_id, 0) AS model_id,
        coalesce(group_id, 0) AS group_id, type, status, cause, input_tokens, output_tokens, cached_tokens, cost,
        duration_ms, -1 AS sign
    FROM gone
),
