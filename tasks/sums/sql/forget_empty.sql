-- Counts that came down to no task, in these hours of these users and in their days: most tasks pass through two
-- states before they reach their last.
WITH emptied AS (
    SELECT DISTINCT user_id, start FROM unnest(%(users)s::integer[], %(starts)s::timestamptz[]) AS emptied (user_id, start)
),
hours AS (
    DELETE FROM tasks_sum_hour AS kept USING emptied
    WHERE kept.user_id = emptied.user_id AND kept.start = emptied.start AND kept.tasks = 0
)
DELETE FROM tasks_sum_day AS kept
USING (SELECT DISTINCT user_id, date_trunc('day', start, 'UTC') AS start FROM emptied) AS days
WHERE kept.user_id = days.user_id AND kept.start = days.start AND kept.tasks = 0
