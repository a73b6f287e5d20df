-- Records take the values that usage_stage holds for them, and the rollups follow by the difference: one
-- statement with append.sql. A record keeps its user and type; one that begins at another time moves there.
WITH old AS (
    SELECT kept.user_id, kept.id, kept.created_at, kept.token_id, kept.model_id, kept.group_id, kept.type,
        kept.status, kept.cause, kept.input_tokens, kept.output_tokens, kept.cached_tokens, kept.cost, kept.duration_ms
    FROM usage_record kept
    JOIN usage_stage USING (user_id, id)
    ORDER BY user_id, id
    FOR UPDATE OF kept
),
updated AS (
    UPDATE usage_record kept SET (
        id, created_at, token_id, model_id, group_id, input_tokens, output_tokens, cached_tokens, duration_ms, ttft_ms,
        cache_write_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, image_count, status,
        cause, http_status, stream, cost, request_id, upstream_request_id, task_id, endpoint, provider, channel, ip,
        user_agent, error_type, error_code, error_message, error_param, parameters, quantities, billing,
        attempts, metadata, content, usage_estimated
    ) = (
        (lpad(to_hex(floor(extract(epoch FROM stage.created_at) * 1000)::bigint), 12, '0')
            || substr(replace(stage.id::text, '-', ''), 13))::uuid,
        stage.created_at, stage.token_id, stage.model_id, stage.group_id, stage.input_tokens, stage.output_tokens,
        stage.cached_tokens, stage.duration_ms, stage.ttft_ms, stage.cache_write_tokens, stage.reasoning_tokens,
        stage.audio_input_tokens, stage.audio_output_tokens, stage.image_count, stage.status, stage.cause,
        stage.http_status, stage.stream, stage.cost, stage.request_id, stage.upstream_request_id, stage.task_id, stage.endpoint,
        stage.provider, stage.channel, stage.ip, stage.user_agent, stage.error_type, stage.error_code,
        stage.error_message, stage.error_param, stage.parameters, stage.quantities, stage.billing,
        stage.attempts, stage.metadata, greatest(kept.content, stage.content),
        stage.usage_estimated
    )
    FROM usage_stage stage
    JOIN old USING (user_id, id)
    WHERE kept.user_id = stage.user_id AND kept.id = stage.id
    RETURNING kept.user_id, kept.created_at, kept.token_id, kept.model_id, kept.group_id, kept.type, kept.status,
        kept.cause, kept.input_tokens, kept.output_tokens, kept.cached_tokens, kept.cost, kept.duration_ms
),
changed AS (
    SELECT user_id, created_at, coalesce(token_id, 0) AS token_id, coalesce(model_id, 0) AS model_id,
        coalesce(group_id, 0) AS group_id, type, status, cause, input_tokens, output_tokens, cached_tokens, cost,
        duration_ms, sign
    FROM (
        SELECT user_id, created_at, token_id, model_id, group_id, type, status, cause, input_tokens,
            output_tokens, cached_tokens, cost, duration_ms, 1 AS sign
        FROM updated
        UNION ALL
        SELECT user_id, created_at, token_id, model_id, group_id, type, status, cause, input_tokens,
            output_tokens, cached_tokens, cost, duration_ms, -1
        FROM old
    ) AS both_states
),
