-- Usage records, their content, and their sums by hour and day.

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
    -- Under which policy a record's content came.
    content smallint,
    -- A user's page, newest first, and "the same record twice is one". The included columns let the chart and
    -- the edges of a range be summed from the index alone, under any filter; in an order without padding.
    CONSTRAINT usage_record_pkey PRIMARY KEY (user_id, id)
        INCLUDE (token_id, created_at, model_id, group_id, input_tokens, output_tokens, type, status, cause)
) PARTITION BY RANGE (id);

-- Catches records that arrive before their month's partition is made.
CREATE TABLE usage_record_default PARTITION OF usage_record DEFAULT;

-- The admin's page of all users. On the time and not on the id: with an index on the id alone the planner
-- walks it for ORDER BY id LIMIT n, reading everybody's records to find the few of one user.
CREATE INDEX usage_record_created_at ON usage_record (created_at);
-- Query by request ID, over all time. IDs are looked up whole: a hash of them is enough, and half the size. Not
-- so of the provider's, which few records have: a hash index is as large as its table wants, whatever its
-- condition leaves.
CREATE INDEX usage_record_request_id ON usage_record USING hash (request_id);
-- The same for the ID that the provider gave.
CREATE INDEX usage_record_upstream_request_id ON usage_record (upstream_request_id)
    WHERE upstream_request_id IS NOT NULL;
-- From a task to the requests that submitted or refunded it.
CREATE INDEX usage_record_task_id ON usage_record (task_id) WHERE task_id IS NOT NULL;

-- Content of records, by day: what has expired goes with its partition. No index but the key: content is only
-- ever read beside its record.
CREATE TABLE usage_content (
    id uuid NOT NULL,
    user_id integer NOT NULL,
    input_bytes integer,
    output_bytes integer,
    level smallint NOT NULL,
    is_truncated boolean NOT NULL,
    key_id text NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT usage_content_pkey PRIMARY KEY (user_id, id)
) PARTITION BY RANGE (id);
-- Encrypted bytes do not compress a second time.
ALTER TABLE usage_content ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE usage_content_default PARTITION OF usage_content DEFAULT;

-- Sums wait in usage_pending, which ingest only appends to, until they are folded into the rollups by one process
-- at a time. Readers see both through views, so the sums are exact after every commit. Sums of costs that each
-- just fit must fit too.
CREATE TABLE usage_hour_folded (
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
    cost numeric(36, 12) NOT NULL,
    PRIMARY KEY (user_id, start, token_id, model_id, group_id, type, status, cause)
) WITH (fillfactor = 90); -- the running hour's rows are updated in place, most others never again

CREATE TABLE usage_day_folded (
    LIKE usage_hour_folded,
    PRIMARY KEY (user_id, start, token_id, model_id, group_id, type, status, cause)
) WITH (fillfactor = 90);

CREATE TABLE usage_total_hour_folded (
    start timestamptz NOT NULL,
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
    cost numeric(36, 12) NOT NULL,
    PRIMARY KEY (start, model_id, group_id, type, status, cause)
) WITH (fillfactor = 90);

CREATE TABLE usage_total_day_folded (
    LIKE usage_total_hour_folded,
    PRIMARY KEY (start, model_id, group_id, type, status, cause)
) WITH (fillfactor = 90);

-- What transactions added to the sums, and took from them, since the last fold. Without a unique key: writers
-- never wait for each other.
CREATE TABLE usage_pending (
    start timestamptz NOT NULL,
    day timestamptz NOT NULL,
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
    cost numeric(36, 12) NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000);
-- A user's sums. All users' read the whole table: it is kept small.
CREATE INDEX usage_pending_user ON usage_pending (user_id, start);

CREATE VIEW usage_hour AS
SELECT user_id, start, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost
FROM usage_hour_folded
UNION ALL
SELECT user_id, start, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost
FROM usage_pending;

CREATE VIEW usage_day AS
SELECT user_id, start, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost
FROM usage_day_folded
UNION ALL
SELECT user_id, day, token_id, model_id, group_id, type, status, cause, records, unpriced, input_tokens,
    output_tokens, cached_tokens, cost
FROM usage_pending;

CREATE VIEW usage_total_hour AS
SELECT start, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost
FROM usage_total_hour_folded
UNION ALL
SELECT start, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost
FROM usage_pending;

CREATE VIEW usage_total_day AS
SELECT start, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost
FROM usage_total_day_folded
UNION ALL
SELECT day, model_id, group_id, type, status, cause, records, unpriced, input_tokens, output_tokens,
    cached_tokens, cost
FROM usage_pending;

-- The chart of busy hours that are over: counted once from the records, and anew when one of them changes.
CREATE TABLE usage_traffic_hour (
    user_id integer NOT NULL,
    start timestamptz NOT NULL,
    requests bigint NOT NULL,
    errors bigint NOT NULL,
    rate_limited bigint NOT NULL,
    tokens bigint NOT NULL,
    peak_rpm bigint NOT NULL,
    peak_tpm bigint NOT NULL,
    peak_rpm_minute smallint NOT NULL,
    peak_tpm_minute smallint NOT NULL,
    is_stale boolean NOT NULL,
    PRIMARY KEY (user_id, start)
);
-- What is to be counted anew.
CREATE INDEX usage_traffic_hour_stale ON usage_traffic_hour (user_id, start) WHERE is_stale;
