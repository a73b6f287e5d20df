-- Views and triggers of the counts with the cause (their tables have it by now). No task has a cause yet, so every
-- count stays what it is; whoever judges a task moves its count.
ALTER TABLE tasks_sum_pending ADD COLUMN cause varchar(24) NOT NULL DEFAULT '';

CREATE OR REPLACE VIEW tasks_hour AS
SELECT user_id, start, status, type, platform, token_id, model_id, group_id, tasks, cause FROM tasks_sum_hour
UNION ALL
SELECT user_id, start, status, type, platform, token_id, model_id, group_id, tasks, cause FROM tasks_sum_pending;

CREATE OR REPLACE VIEW tasks_day AS
SELECT user_id, start, status, type, platform, token_id, model_id, group_id, tasks, cause FROM tasks_sum_day
UNION ALL
SELECT user_id, date_trunc('day', start, 'UTC'), status, type, platform, token_id, model_id, group_id, tasks, cause
FROM tasks_sum_pending;

CREATE OR REPLACE FUNCTION tasks_sum_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tasks_sum_pending
        (start, user_id, token_id, model_id, group_id, tasks, type, status, platform, cause)
    SELECT date_trunc('hour', submitted_at, 'UTC'), user_id, coalesce(token_id, 0), coalesce(model_id, 0),
        coalesce(group_id, 0), count(*), type, status, platform, cause
    FROM added GROUP BY 1, 2, 3, 4, 5, 7, 8, 9, 10;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tasks_sum_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tasks_sum_pending
        (start, user_id, token_id, model_id, group_id, tasks, type, status, platform, cause)
    SELECT date_trunc('hour', submitted_at, 'UTC'), user_id, coalesce(token_id, 0), coalesce(model_id, 0),
        coalesce(group_id, 0), -count(*), type, status, platform, cause
    FROM removed GROUP BY 1, 2, 3, 4, 5, 7, 8, 9, 10;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tasks_sum_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tasks_sum_pending
        (start, user_id, token_id, model_id, group_id, tasks, type, status, platform, cause)
    VALUES
        (date_trunc('hour', OLD.submitted_at, 'UTC'), OLD.user_id, coalesce(OLD.token_id, 0),
            coalesce(OLD.model_id, 0), coalesce(OLD.group_id, 0), -1, OLD.type, OLD.status, OLD.platform,
            OLD.cause),
        (date_trunc('hour', NEW.submitted_at, 'UTC'), NEW.user_id, coalesce(NEW.token_id, 0),
            coalesce(NEW.model_id, 0), coalesce(NEW.group_id, 0), 1, NEW.type, NEW.status, NEW.platform,
            NEW.cause);
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER tasks_sum_moved AFTER UPDATE ON tasks_asynctask FOR EACH ROW
    WHEN ((OLD.submitted_at, OLD.user_id, OLD.token_id, OLD.model_id, OLD.group_id, OLD.type, OLD.status,
            OLD.platform, OLD.cause)
        IS DISTINCT FROM (NEW.submitted_at, NEW.user_id, NEW.token_id, NEW.model_id, NEW.group_id, NEW.type,
            NEW.status, NEW.platform, NEW.cause))
    EXECUTE FUNCTION tasks_sum_moved();
