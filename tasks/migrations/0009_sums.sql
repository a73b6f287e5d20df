-- How many tasks there are, by whatever they are filtered by: a user's sums of an hour and of a UTC day.
--
-- Triggers make them, so that they hold whoever writes: what a statement adds and takes away is appended to
-- tasks_sum_pending in its own transaction, without a unique key, so that writers never wait for each other. A job
-- folds that into the rollups (tasks/sums/pending.py); the views hold both, and are exact after every commit.
CREATE TABLE tasks_sum_hour (
    start timestamptz NOT NULL,
    user_id integer NOT NULL,
    token_id integer NOT NULL,
    model_id integer NOT NULL,
    group_id integer NOT NULL,
    tasks bigint NOT NULL,
    type varchar(16) NOT NULL,
    status varchar(24) NOT NULL,
    platform varchar(64) NOT NULL,
    PRIMARY KEY (user_id, start, status, type, platform, token_id, model_id, group_id)
) WITH (fillfactor = 90);

CREATE TABLE tasks_sum_day (
    LIKE tasks_sum_hour,
    PRIMARY KEY (user_id, start, status, type, platform, token_id, model_id, group_id)
) WITH (fillfactor = 90);

CREATE TABLE tasks_sum_pending (LIKE tasks_sum_hour)
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000);
CREATE INDEX tasks_sum_pending_user ON tasks_sum_pending (user_id, start);

CREATE VIEW tasks_hour AS
SELECT user_id, start, status, type, platform, token_id, model_id, group_id, tasks FROM tasks_sum_hour
UNION ALL
SELECT user_id, start, status, type, platform, token_id, model_id, group_id, tasks FROM tasks_sum_pending;

CREATE VIEW tasks_day AS
SELECT user_id, start, status, type, platform, token_id, model_id, group_id, tasks FROM tasks_sum_day
UNION ALL
SELECT user_id, date_trunc('day', start, 'UTC'), status, type, platform, token_id, model_id, group_id, tasks
FROM tasks_sum_pending;

CREATE FUNCTION tasks_sum_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tasks_sum_pending (start, user_id, token_id, model_id, group_id, tasks, type, status, platform)
    SELECT date_trunc('hour', submitted_at, 'UTC'), user_id, coalesce(token_id, 0), coalesce(model_id, 0),
        coalesce(group_id, 0), count(*), type, status, platform
    FROM added GROUP BY 1, 2, 3, 4, 5, 7, 8, 9;
    RETURN NULL;
END
$$;

CREATE FUNCTION tasks_sum_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tasks_sum_pending (start, user_id, token_id, model_id, group_id, tasks, type, status, platform)
    SELECT date_trunc('hour', submitted_at, 'UTC'), user_id, coalesce(token_id, 0), coalesce(model_id, 0),
        coalesce(group_id, 0), -count(*), type, status, platform
    FROM removed GROUP BY 1, 2, 3, 4, 5, 7, 8, 9;
    RETURN NULL;
END
$$;

CREATE FUNCTION tasks_sum_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tasks_sum_pending (start, user_id, token_id, model_id, group_id, tasks, type, status, platform)
    VALUES
        (date_trunc('hour', OLD.submitted_at, 'UTC'), OLD.user_id, coalesce(OLD.token_id, 0),
            coalesce(OLD.model_id, 0), coalesce(OLD.group_id, 0), -1, OLD.type, OLD.status, OLD.platform),
        (date_trunc('hour', NEW.submitted_at, 'UTC'), NEW.user_id, coalesce(NEW.token_id, 0),
            coalesce(NEW.model_id, 0), coalesce(NEW.group_id, 0), 1, NEW.type, NEW.status, NEW.platform);
    RETURN NULL;
END
$$;

CREATE FUNCTION tasks_sum_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM tasks_sum_pending;
    DELETE FROM tasks_sum_hour;
    DELETE FROM tasks_sum_day;
    RETURN NULL;
END
$$;

CREATE TRIGGER tasks_sum_added AFTER INSERT ON tasks_asynctask REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tasks_sum_added();
CREATE TRIGGER tasks_sum_removed AFTER DELETE ON tasks_asynctask REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION tasks_sum_removed();
-- By row: its condition costs nothing where, as with most polls, nothing of the sort has changed.
CREATE TRIGGER tasks_sum_moved AFTER UPDATE ON tasks_asynctask FOR EACH ROW
    WHEN ((OLD.submitted_at, OLD.user_id, OLD.token_id, OLD.model_id, OLD.group_id, OLD.type, OLD.status,
            OLD.platform)
        IS DISTINCT FROM (NEW.submitted_at, NEW.user_id, NEW.token_id, NEW.model_id, NEW.group_id, NEW.type,
            NEW.status, NEW.platform))
    EXECUTE FUNCTION tasks_sum_moved();
CREATE TRIGGER tasks_sum_emptied AFTER TRUNCATE ON tasks_asynctask
    FOR EACH STATEMENT EXECUTE FUNCTION tasks_sum_emptied();

-- Of the tasks that are here. They are not written meanwhile: the triggers' lock is held until the commit.
INSERT INTO tasks_sum_hour (start, user_id, token_id, model_id, group_id, tasks, type, status, platform)
SELECT date_trunc('hour', submitted_at, 'UTC'), user_id, coalesce(token_id, 0), coalesce(model_id, 0),
    coalesce(group_id, 0), count(*), type, status, platform
FROM tasks_asynctask GROUP BY 1, 2, 3, 4, 5, 7, 8, 9;
INSERT INTO tasks_sum_day (start, user_id, token_id, model_id, group_id, tasks, type, status, platform)
SELECT date_trunc('day', start, 'UTC'), user_id, token_id, model_id, group_id, sum(tasks), type, status, platform
FROM tasks_sum_hour GROUP BY 1, 2, 3, 4, 5, 7, 8, 9;
