-- Records take the cause, cost and billing that usage_amend holds for them, and the rollups follow by the
-- difference: one statement with append.sql. The bounds let other partitions be left alone.
WITH old AS (
    SELECT kept.user_id, kept.id, kept.created_at, coalesce(kept.token_id, 0) AS token_id,
        coalesce(kept.model_id, 0) AS model_id, coalesce(kept.group_id, 0) AS group_id, kept.type, kept.status,
        kept.cause, kept.input_tokens, kept.output_tokens, kept.cached_tokens, kept.cost, kept.duration_ms,
        amend.cause AS new_cause, amend.cost AS new_cost, amend.billing AS new_billing
    FROM usage_record AS kept
    JOIN usage_amend AS amend ON amend.user_id = kept.user_id AND amend.id = kept.id
    WHERE kept.id >= (SELECT id FROM usage_amend ORDER BY id LIMIT 1)
        AND kept.id <= (SELECT id FROM usage_amend ORDER BY id DESC LIMIT 1)
        -- Priced meanwhile by somebody else: a price that stands is never changed.
        AND (kept.cost IS NULL OR kept.cost IS NOT DISTINCT FROM amend.cost)
        AND (
            (kept.cause, kept.cost) IS DISTINCT FROM (amend.cause, amend.cost)
            -- Still without a price, and another part of it has one.
            OR (kept.cost IS NULL AND amend.billing IS NOT NULL AND kept.billing IS DISTINCT FROM amend.billing)
        )
    ORDER BY kept.user_id, kept.id
    FOR UPDATE OF kept
),
updated AS (
    UPDATE usage_record AS kept
    SET cause = old.new_cause, cost = old.new_cost, billing = coalesce(old.new_billing, kept.billing)
    FROM old
    WHERE kept.user_id = old.user_id AND kept.id = old.id AND kept.id >= (SELECT id FROM usage_amend ORDER BY id LIMIT 1)
        AND kept.id <= (SELECT id FROM usage_amend ORDER BY id DESC LIMIT 1)
),
changed AS (
    SELECT user_id, created_at, token_id, model_id, group_id, type, status, cause, input_tokens, output_tokens,
        cached_tokens, cost, duration_ms, -1 AS sign
    FROM old
    UNION ALL
    SELECT user_id, created_at, token_id, model_id, group_id, type, status, new_cause, input_tokens,
        output_tokens, cached_tokens, new_cost, duration_ms, 1
    FROM old
),
