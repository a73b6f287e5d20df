-- What waits in tasks_sum_pending goes into the rollups, so much at a time; one process at a time (tasks/sums/pending.py).
-- Answers how many rows went, and the hours of users in which a count came down to no task.
WITH pending AS (
    DELETE FROM tasks_sum_pending
    WHERE ctid = ANY (ARRAY (SELECT ctid FROM tasks_sum_pending LIMIT %(most)s))
    RETURNING *
),
hours AS (
    INSERT INTO tasks_sum_hour AS kept (
        user_id, start, status, type, platform, token_id, model_id, group_id, cause, tasks
    )
    SELECT user_id, start, status, type, platform, token_id, model_id, group_id, cause, sum(tasks)
    FROM pending
    GROUP BY user_id, start, status, type, platform, token_id, model_id, group_id, cause
    ORDER BY user_id, start, status, type, platform, token_id, model_id, group_id, cause
    ON CONFLICT (user_id, start, status, type, platform, token_id, model_id, group_id, cause)
    DO UPDATE SET tasks = kept.tasks + excluded.tasks
    RETURNING user_id, start, tasks
),
days AS (
    INSERT INTO tasks_sum_day AS kept (
        user_id, start, status, type, platform, token_id, model_id, group_id, cause, tasks
    )
    SELECT user_id, date_trunc('day', start, 'UTC') AS day, status, type, platform, token_id, model_id, group_id,
        cause, sum(tasks)
    FROM pending
    GROUP BY user_id, day, status, type, platform, token_id, model_id, group_id, cause
    ORDER BY user_id, day, status, type, platform, token_id, model_id, group_id, cause
    ON CONFLICT (user_id, start, status, type, platform, token_id, model_id, group_id, cause)
    DO UPDATE SET tasks = kept.tasks + excluded.tasks
)
SELECT (SELECT count(*) FROM pending), coalesce(array_agg(user_id), '{}'), coalesce(array_agg(start), '{}')
FROM hours
WHERE tasks = 0
