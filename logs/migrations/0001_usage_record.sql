-- Usage records, and their sums by hour and day.

CREATE TABLE usage_record (
    -- Fixed-width columns first, widest first: no padding between them.
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    user_id integer NOT NULL,
    gateway_id integer NOT NULL,
    token_id integer,
    model_id integer,
    group_id integer,
    input_tokens integer NOT NULL,
    output_tokens integer NOT NULL,
    cached_tokens integer NOT NULL,
    duration_ms integer,
    ttft_ms integer,
    cache_write_tokens integer,
    reasoning_tokens integer,
    audio_input_tokens integer,
    audio_output_tokens integer,
    image_count integer,
    type smallint NOT NULL,
    status smallint NOT NULL,
    cause smallint NOT NULL,
    http_status smallint,
    stream boolean,
    cost numeric(24, 12),
    request_id text NOT NULL,
    upstream_request_id text,
    task_id text,
    endpoint text,
    provider text,
    channel text,
    ip inet,
    user_agent text,
    error_type text,
    error_code text,
    error_message text,
    error_param text,
    parameters jsonb,
    quantities jsonb,
    billing jsonb,
    attempts jsonb,
    metadata jsonb,
    -- A user's page, newest first, and "the same record twice is one". The included columns let the chart and
    -- the edges of a range be summed from the index alone, under any filter.
    CONSTRAINT usage_record_pkey PRIMARY KEY (user_id, id)
        INCLUDE (created_at, token_id, model_id, group_id, input_tokens, output_tokens, type, status, cause)
) PARTITION BY RANGE (id);

-- Catches records that arrive before their month's partition is made.
CREATE TABLE usage_record_default PARTITION OF usage_record DEFAULT;

-- The admin's page of all users. On the time and not on the id: with an index on the id alone the planner
-- walks it for ORDER BY id LIMIT n, reading everybody's records to find the few of one user.
CREATE INDEX usage_record_created_at ON usage_record (created_at);
-- Query by request ID, over all time.
CREATE INDEX usage_record_request_id ON usage_record (request_id);
-- The same for the ID that the provider gave.
CREATE INDEX usage_record_upstream_request_id ON usage_record (upstream_request_id)
    WHERE upstream_request_id IS NOT NULL;
-- From a task to the requests that submitted or refunded it.
CREATE INDEX usage_record_task_id ON usage_record (task_id) WHERE task_id IS NOT NULL;

CREATE TABLE usage_hour (
    start timestamptz NOT NULL,
    user_id integer NOT NULL,
    token_id integer NOT NULL,
    model_id integer NOT NULL,
    group_id integer NOT NULL,
    type smallint NOT NULL,
    status smallint NOT NULL,
    cause smallint NOT NULL,
    records bigint NOT NULL,
    unpriced bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost numeric(24, 12) NOT NULL,
    PRIMARY KEY (user_id, start, token_id, model_id, group_id, type, status, cause)
) WITH (fillfactor = 80); -- the running hour's rows are updated in place

CREATE TABLE usage_day (
    LIKE usage_hour,
    PRIMARY KEY (user_id, start, token_id, model_id, group_id, type, status, cause)
) WITH (fillfactor = 80);

CREATE TABLE usage_total_hour (
    start timestamptz NOT NULL,
    shard smallint NOT NULL,
    model_id integer NOT NULL,
    group_id integer NOT NULL,
    type smallint NOT NULL,
    status smallint NOT NULL,
    cause smallint NOT NULL,
    records bigint NOT NULL,
    unpriced bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost numeric(24, 12) NOT NULL,
    PRIMARY KEY (start, shard, model_id, group_id, type, status, cause)
) WITH (fillfactor = 80);

CREATE TABLE usage_total_day (
    LIKE usage_total_hour,
    PRIMARY KEY (start, shard, model_id, group_id, type, status, cause)
) WITH (fillfactor = 80);
